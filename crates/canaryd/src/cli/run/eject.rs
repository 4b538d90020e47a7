//! `canaryd eject`: the way out, as a file and in words.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use canaryd_cockpit::EjectPage;

use super::daemon;
use crate::cli::args::{Common, EjectArgs};
use crate::cli::exit::{Exit, Failure};
use crate::cli::live::{put_exact, size, talk_exact};
use crate::cli::style::{Style, tame, wrap};

/// What the file is called as long as it has no name.
const UNNAMED: &str = "compose.yaml";

/// `canaryd eject`.
pub(crate) async fn eject(args: EjectArgs, common: &Common) -> Result<Exit, Failure> {
    let page = daemon(common).await?.eject(&args.name, args.port).await?;
    match &args.output {
        Some(file) => write_new(file, &page.compose)?,
        None => put_exact(&page.compose),
    }
    talk_exact(&Style::of(common).finish(render(args.name.as_str(), &page, args.output.as_deref(), size().0)));
    Ok(Exit::Yes)
}

/// Never in the place of another: somebody may have edited it.
fn write_new(file: &Path, text: &str) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).open(file);
    let written = opened.and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::usage(format!("{} is there already", file.display())).hint("name another file, or move it away")
        }
        _ => Failure::file(file, &error),
    })
}

fn render(name: &str, page: &EjectPage, file: Option<&Path>, width: usize) -> String {
    let called = file.and_then(Path::file_name).map_or_else(|| UNNAMED.into(), |n| n.to_string_lossy().into_owned());
    let dir = file.and_then(Path::parent).filter(|dir| !dir.as_os_str().is_empty());
    let sentence = format!(
        "{name} {} as a Compose file ({called}). Nothing was changed: canaryd and all that it runs serve on.",
        page.version
    );
    let mut lines = wrap("", "", &tame(&sentence), width);
    for note in &page.notes {
        lines.extend(wrap("note: ", "      ", &tame(note), width));
    }
    lines.push(String::new());
    // A variable may be called so as well.
    let named = |line: &str| tame(line).replace("-f FILE", &format!("-f {called}"));
    lines.extend(dir.map(|dir| format!("       cd {}", dir.display())));
    for (number, step) in (1..).zip(&page.steps) {
        let what = tame(&step.what).replace("beside FILE", &format!("beside {called}"));
        lines.extend(wrap(&format!("  {number}  "), "     ", &what, width));
        lines.extend(step.commands.iter().map(|line| format!("       {}", named(line))));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use canaryd_rollout::EjectStep;

    use super::*;

    #[test]
    fn the_steps_are_numbered_and_their_commands_can_be_copied_whole() {
        let long = format!("docker compose -f FILE {}", "x".repeat(200));
        let steps = vec![EjectStep { what: "start it".to_owned(), commands: vec![long.clone()] }];
        let page = EjectPage {
            version: "v1".to_owned(),
            compose: String::new(),
            steps,
            notes: vec!["v2 is on trial".to_owned()],
        };
        let text = render("shop", &page, Some(Path::new("out/shop.yaml")), 80);
        assert!(text.contains("shop v1 as a Compose file (shop.yaml). Nothing was changed"), "{text}");
        assert!(text.contains("note: v2 is on trial") && text.contains("cd out\n"), "{text}");
        assert!(text.lines().any(|line| line.trim() == long.replace("FILE", "shop.yaml")), "{text}");
    }

    #[test]
    fn a_file_that_is_there_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("compose.yaml");
        write_new(&file, "one").unwrap();
        let refused = write_new(&file, "two").unwrap_err();
        assert!(refused.exit == Exit::Usage && refused.message.contains("is there already"), "{refused:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "one");
    }
}
