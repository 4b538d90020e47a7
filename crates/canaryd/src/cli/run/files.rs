//! Commands on manifest files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use canaryd_planner::Unmet;
use canaryd_rollout::{
    Diagnostic, Draft, Inputs, Rollout, SetVersionError, Severity, SourceText, parse, resolve, rivals, set_version,
};
use canaryd_source::{Glance, glance};
use jiff::Timestamp;

use super::watch::until_ended;
use super::{daemon, json};
use crate::cli::args::{Common, OutputFormat, SetArgs, ValidateArgs, WaitArgs};
use crate::cli::exit::{Exit, Failure};
use crate::cli::live::{put, put_exact, talk, talk_exact};
use crate::cli::outcome::Asked;
use crate::cli::style::Style;

/// `canaryd validate`.
pub(crate) fn validate(args: &ValidateArgs, common: &Common) -> Result<Exit, Failure> {
    let vars = crate::cli::vars::read(&args.vars)?;
    let mut problems: Vec<Diagnostic> = Vec::new();
    let mut good: Vec<Good> = Vec::new();
    for path in manifests(&args.files)? {
        check(&path, &vars, &mut problems, &mut good);
    }
    problems.extend(rivals(&good.iter().map(|one| (&one.draft, &one.rollout)).collect::<Vec<_>>()));
    let failed = problems.iter().any(Diagnostic::is_error);
    if args.output == OutputFormat::Json {
        let rollouts: Vec<_> = good.iter().map(Good::json).collect();
        put_exact(&json(&serde_json::json!({ "ok": !failed, "rollouts": rollouts, "problems": problems }))?);
    } else {
        let style = Style::of(common);
        for problem in &problems {
            talk_exact(&format!("{}\n\n", style.finish(problem.render(style.colour))));
        }
        for Good { file, draft, rollout } in good.iter().filter(|one| !one.is_refused(&problems)) {
            put(&format!("ok: {file}: {} {}\n", draft.name(), rollout.version));
        }
    }
    if good.is_empty() && problems.is_empty() {
        let places: Vec<String> = args.files.iter().map(|place| place.display().to_string()).collect();
        let message = format!("there is no manifest in {}: no *.yaml or *.yml", places.join(" and "));
        return Err(Failure::usage(message));
    }
    Ok(if failed { Exit::Usage } else { Exit::Yes })
}

/// A document without a mistake of its own.
struct Good {
    file: String,
    draft: Draft,
    rollout: Rollout,
}

impl Good {
    /// Whether it cannot be in force beside another one.
    fn is_refused(&self, problems: &[Diagnostic]) -> bool {
        problems.iter().any(|p| p.is_error() && p.file == self.file && p.rollout.as_ref() == Some(self.draft.name()))
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({ "file": self.file, "name": self.draft.name(), "version": self.rollout.version })
    }
}

/// A pipe or a device is not waited for.
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let kind = std::fs::metadata(path)?.file_type();
    let what = if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        return std::fs::read(path);
    };
    Err(std::io::Error::other(format!("it is {what}, and not a file")))
}

/// As text.
pub(super) fn read_text(path: &Path) -> std::io::Result<String> {
    String::from_utf8(read_file(path)?).map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e))
}

fn check(path: &Path, vars: &BTreeMap<String, String>, problems: &mut Vec<Diagnostic>, good: &mut Vec<Good>) {
    let name = path.display().to_string();
    // One file that cannot be read hides no problem of another.
    let source = match read_file(path) {
        Ok(bytes) => SourceText::of_bytes(&name, &bytes),
        Err(error) => Err(vec![Diagnostic::of_file(Severity::Error, &name, format!("cannot be read: {error}"))]),
    };
    let source = match source {
        Ok(source) => source,
        Err(more) => return problems.extend(more),
    };
    let parsed = parse(&source, vars);
    problems.extend(parsed.problems);
    let dir = path.parent().unwrap_or(Path::new("."));
    for draft in parsed.drafts {
        let read = |file: &String| std::fs::read(dir.join(file)).map_err(|e| e.to_string());
        let files = draft.needs().files.iter().map(|file| (file.clone(), read(file))).collect();
        match resolve(&draft, &Inputs { files, images: BTreeMap::new() }) {
            Ok(resolved) => {
                problems.extend(resolved.warnings);
                good.push(Good { file: name.clone(), draft, rollout: resolved.rollout });
            }
            Err(errors) => problems.extend(errors),
        }
    }
}

/// What cannot be in force together of these files. What is wrong with one alone is another's business.
pub(super) fn clashes(files: &[PathBuf]) -> Vec<Diagnostic> {
    let (mut problems, mut good) = (Vec::new(), Vec::new());
    for file in files {
        check(file, &BTreeMap::new(), &mut problems, &mut good);
    }
    rivals(&good.iter().map(|one| (&one.draft, &one.rollout)).collect::<Vec<_>>())
}

/// Files as given, and all manifests under directories, as the daemon lists them.
pub(super) fn manifests(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let Glance { files: found, trouble, .. } = glance(path);
        if let Some(trouble) = trouble {
            return Err(Failure::usage(trouble.to_string()));
        }
        files.extend(found);
    }
    // A file that is named twice, or lies in a directory that is named as well, is one manifest.
    let mut seen = BTreeSet::new();
    files.retain(|file| seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())));
    Ok(files)
}

/// Why a version that the manifest asks for already is not on its way, if the daemon knows.
async fn why_not(args: &SetArgs, common: &Common) -> Option<String> {
    let name = &args.name;
    let report = daemon(common).await.ok()?.report(name).await.ok()?;
    match report.unmet.filter(|_| !args.wait)? {
        Unmet::Blocked { version, why } => {
            Some(format!("{name}: {version} was taken off ({why}); to try it again: canaryd retry {name}\n"))
        }
        Unmet::Ignored { why } => Some(format!("{name}: the manifest is not in force: {why}\n")),
    }
}

/// `canaryd set`.
pub(crate) async fn set(args: SetArgs, common: &Common) -> Result<Exit, Failure> {
    if args.until.timeout.is_some() && !args.wait {
        return Err(Failure::usage("--timeout is for --wait: without it nothing is waited for").hint("add --wait"));
    }
    let places = match &args.file {
        Some(file) => vec![file.clone()],
        None if !args.watch.is_empty() => args.watch.clone(),
        None => {
            let client = daemon(common).await.map_err(|failure| without_asking(failure, &args))?;
            let page = client.status().await?;
            if let Some(mode) = page.safe_mode {
                return Err(Failure::new(Exit::No, mode.sentence).hint(mode.way_out));
            }
            page.watch.into_iter().map(PathBuf::from).collect()
        }
    };
    let (path, old, new) = find(&args, &places)?;
    let since = Timestamp::now();
    let changed = old != new;
    if changed {
        replace(&path, &new).map_err(|e| Failure::file(&path, &e))?;
    }
    let file = path.display().to_string();
    let since_when = if changed { "now" } else { "already" };
    let line = format!("{}: {file} says {} {since_when}\n", args.name, args.version);
    let why = if changed { None } else { why_not(&args, common).await };
    let line = line + &why.unwrap_or_default();
    match (args.output, args.wait) {
        (OutputFormat::Json, false) => {
            let done =
                serde_json::json!({ "name": args.name, "file": file, "version": args.version, "changed": changed });
            put_exact(&json(&done)?);
        }
        // What comes at the end is the answer.
        (OutputFormat::Json, true) => talk(&line),
        (OutputFormat::Table | OutputFormat::Wide, _) => put(&line),
    }
    if !args.wait {
        return Ok(Exit::Yes);
    }
    let (since, edited) = (changed.then_some(since), Some(Instant::now()));
    let asked = Asked { version: Some(args.version), since, edited, ..Asked::default() };
    let wait = WaitArgs { name: args.name, version: None, until: args.until, output: args.output };
    until_ended(&wait, asked, common).await
}

/// The file can be edited without a daemon, which then takes it over at its start.
fn without_asking(failure: Failure, args: &SetArgs) -> Failure {
    let SetArgs { name, version, .. } = args;
    let edit = format!("to edit the manifest all the same: canaryd set {name} {version} --file FILE");
    let hint = failure.hint.map_or_else(|| edit.clone(), |hint| format!("{hint}\n        {edit}"));
    Failure { hint: Some(hint), ..failure }
}

fn find(args: &SetArgs, places: &[PathBuf]) -> Result<(PathBuf, String, String), Failure> {
    let mut found = Vec::new();
    for path in manifests(places)? {
        let text = read_text(&path).map_err(|e| Failure::file(&path, &e))?;
        match set_version(&text, &args.name, &args.version) {
            Ok(new) => found.push((path, text, new)),
            Err(SetVersionError::NoSuchRollout { .. }) => {}
            // Another broken file is not this command's business; the one that was named is.
            Err(SetVersionError::NotYaml { .. }) if args.file.is_none() => {}
            // No file is to blame for what was typed.
            Err(e @ SetVersionError::BadVersion { .. }) => return Err(Failure::usage(e.to_string())),
            Err(e) => return Err(Failure::usage(format!("{}: {e}", path.display()))),
        }
    }
    let names: Vec<String> = found.iter().map(|(path, ..)| path.display().to_string()).collect();
    match found.pop() {
        Some(only) if found.is_empty() => Ok(only),
        Some(_) => Err(Failure::usage(format!("{} is in several files: {}", args.name, names.join(", ")))
            .hint("say which one with --file")),
        None => Err(unknown(args, places)),
    }
}

fn unknown(args: &SetArgs, places: &[PathBuf]) -> Failure {
    let mut names = BTreeSet::new();
    for path in manifests(places).unwrap_or_default() {
        let source = std::fs::read(&path).ok().and_then(|b| SourceText::of_bytes(&path.display().to_string(), &b).ok());
        let drafts = source.map(|source| parse(&source, &BTreeMap::new()).drafts).unwrap_or_default();
        names.extend(drafts.iter().map(|draft| draft.name().to_string()));
    }
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    let there = if names.is_empty() { String::new() } else { format!("rollouts there: {names}; ") };
    Failure::usage(format!("there is no rollout {} in {}", args.name, places.join(" and ")))
        .hint(format!("{there}if its manifest is elsewhere, say where with --file"))
}

/// A symlink stays one; mode and owner stay, also when root does it for somebody else.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = path.canonicalize()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let fresh = path.with_file_name(format!(".{name}.{}~", std::process::id()));
    let written = write_beside(&fresh, &path, text);
    let Err(error) = written else { return Ok(()) };
    // Best effort: the first error is the one to tell.
    let _ = std::fs::remove_file(&fresh);
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        // A directory or an owner of somebody else's, and a file that is open to this user.
        return write_in_place(&path, text);
    }
    Err(error)
}

/// Written beside it, then renamed over it: no reader sees half a file.
fn write_beside(fresh: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let before = std::fs::metadata(path)?;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh)?;
    let mine = file.metadata()?;
    if (mine.uid(), mine.gid()) != (before.uid(), before.gid()) {
        std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()))?;
    }
    // After the owner, whose change takes bits of the mode away.
    file.set_permissions(before.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(fresh, path)
}

/// The daemon reads a file when it is closed. It is never cut to nothing first: a full disk could leave it so.
fn write_in_place(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{UntilArgs, VarFlags};

    const GOOD: &str = "apiVersion: canaryd.io/v1\nkind: Rollout\nmetadata: { name: shop }\nspec:\n  version: v1 # here\n  app: { image: \"shop:${version}\", port: 8000, health: { http: /health } }\n";

    fn common() -> Common {
        Common::default()
    }

    fn validated(files: &[&Path]) -> Result<Exit, Failure> {
        let files = files.iter().map(|f| (*f).to_owned()).collect();
        validate(&ValidateArgs { files, vars: VarFlags::default(), output: OutputFormat::default() }, &common())
    }

    #[test]
    fn validate_answers_0_for_a_good_manifest_and_2_for_a_wrong_one_or_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(validated(&[dir.path()]).map_err(|f| f.exit), Err(Exit::Usage), "an empty directory");
        let file = dir.path().join("shop.yaml");
        std::fs::write(&file, GOOD).unwrap();
        assert_eq!(validated(&[dir.path()]), Ok(Exit::Yes));
        std::fs::write(&file, GOOD.replace("8000", "0")).unwrap();
        assert_eq!(validated(&[&file]), Ok(Exit::Usage));
    }

    #[test]
    fn what_is_no_file_is_refused_by_its_kind_and_a_directory_without_manifests_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let empty = validated(&[dir.path()]).unwrap_err().message;
        assert!(empty.contains(&dir.path().display().to_string()), "{empty}");
        let pipe = dir.path().join("shop.pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        let (mut problems, mut good) = (Vec::new(), Vec::new());
        check(&pipe, &BTreeMap::new(), &mut problems, &mut good);
        let said = problems.iter().map(ToString::to_string).collect::<String>();
        assert!(said.contains("shop.pipe") && said.contains("it is a pipe"), "{said}");
    }

    #[test]
    fn a_file_that_cannot_be_read_hides_no_problem_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("a.yaml"), dir.path().join("b.yaml"));
        std::fs::write(&one, b"name: M\xfcnchen\n").unwrap();
        std::fs::write(&two, GOOD.replace("port", "prot")).unwrap();
        let (mut problems, mut good) = (Vec::new(), Vec::new());
        for file in [&dir.path().join("gone.yaml"), &one, &two] {
            check(file, &BTreeMap::new(), &mut problems, &mut good);
        }
        let said = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        for part in ["cannot be read: No such file", "a.yaml:1:8", "not UTF-8", "did you mean port?"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(good.is_empty());
    }

    #[test]
    fn files_that_cannot_be_in_force_together_are_a_problem_and_one_file_named_twice_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.yaml"), dir.path().join("b.yaml"));
        std::fs::write(&a, GOOD).unwrap();
        assert_eq!(validated(&[&a, dir.path(), &a]), Ok(Exit::Yes));
        std::fs::write(&b, GOOD.replace("v1", "v2")).unwrap();
        assert_eq!(validated(&[&a, &b]), Ok(Exit::Usage), "one name");
        std::fs::write(&b, GOOD.replace("shop }", "blog }")).unwrap();
        assert_eq!(validated(&[dir.path()]), Ok(Exit::Usage), "both listen on 8080");
        let clash = clashes(&manifests(&[dir.path().to_owned()]).unwrap());
        assert!(clash.len() == 1 && clash[0].to_string().contains("8080"), "a plan of both says so, too: {clash:?}");
        std::fs::write(&b, GOOD.replace("shop }", "blog }") + "  gateway: { listen: 8081 }\n").unwrap();
        assert_eq!(validated(&[dir.path()]), Ok(Exit::Yes));
    }

    fn set_args(file: &Path, version: &str) -> SetArgs {
        let name = "shop".parse().unwrap();
        let (version, file) = (version.to_owned(), Some(file.to_owned()));
        SetArgs {
            name,
            version,
            file,
            watch: Vec::new(),
            wait: false,
            until: UntilArgs::default(),
            output: OutputFormat::Table,
        }
    }

    #[tokio::test]
    async fn set_finds_what_lies_behind_a_symlink_as_the_daemon_does_and_a_loop_ends() {
        let dir = tempfile::tempdir().unwrap();
        let (watched, elsewhere) = (dir.path().join("watched"), dir.path().join("elsewhere"));
        std::fs::create_dir(&watched).unwrap();
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::write(elsewhere.join("shop.yaml"), GOOD).unwrap();
        std::os::unix::fs::symlink("../elsewhere", watched.join("team")).unwrap();
        std::os::unix::fs::symlink("../watched", elsewhere.join("back")).unwrap();
        let asks = |name: &str| SetArgs {
            file: None,
            watch: vec![watched.clone()],
            name: name.parse().unwrap(),
            ..set_args(Path::new(""), "v2")
        };
        assert_eq!(set(asks("shop"), &common()).await, Ok(Exit::Yes));
        assert_eq!(
            std::fs::read_to_string(elsewhere.join("shop.yaml")).unwrap(),
            GOOD.replace("v1 # here", "v2 # here")
        );
        assert_eq!(manifests(std::slice::from_ref(&watched)).unwrap(), [watched.join("team/shop.yaml")]);
        let unknown = set(asks("zz"), &common()).await.unwrap_err();
        assert!(unknown.message.starts_with("there is no rollout zz in "), "{}", unknown.message);
        assert!(unknown.hint.unwrap().starts_with("rollouts there: shop; "));
    }

    #[tokio::test]
    async fn set_edits_the_line_keeps_the_mode_and_leaves_nothing_beside_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("shop.yaml");
        std::fs::write(&file, GOOD).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(set(set_args(&file, "v2"), &common()).await, Ok(Exit::Yes));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), GOOD.replace("v1 # here", "v2 # here"));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(set(set_args(&file, "v2"), &common()).await, Ok(Exit::Yes), "again");
    }

    #[tokio::test]
    async fn set_by_root_leaves_the_file_its_owner_and_its_symlinks() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("shop.yaml"), dir.path().join("link.yaml"));
        std::fs::write(&file, GOOD).unwrap();
        std::os::unix::fs::chown(&file, Some(65_534), Some(65_533)).unwrap();
        std::os::unix::fs::symlink("shop.yaml", &link).unwrap();
        assert_eq!(set(set_args(&link, "v2"), &common()).await, Ok(Exit::Yes));
        let after = std::fs::metadata(&file).unwrap();
        assert_eq!((after.uid(), after.gid()), (65_534, 65_533));
        assert_eq!(std::fs::read_link(&link).unwrap(), Path::new("shop.yaml"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), GOOD.replace("v1 # here", "v2 # here"));
    }

    #[test]
    fn where_nothing_may_be_put_beside_it_the_file_itself_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("shop.yaml");
        std::fs::write(&file, GOOD).unwrap();
        let before = std::fs::metadata(&file).unwrap().ino();
        write_in_place(&file, "short\n").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "short\n");
        assert_eq!(std::fs::metadata(&file).unwrap().ino(), before);
    }

    #[tokio::test]
    async fn set_refuses_what_it_cannot_do_with_2_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("shop.yaml");
        std::fs::write(&file, GOOD).unwrap();
        let wrong = set(set_args(&file, "v 2"), &common()).await.unwrap_err();
        assert!(wrong.message.starts_with("version \"v 2\" is not allowed"), "no file is to blame: {}", wrong.message);
        for (text, version) in [(GOOD, "v 2"), ("a: [\n", "v2"), ("a: 1\n", "v2")] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(set(set_args(&file, version), &common()).await.map_err(|f| f.exit), Err(Exit::Usage), "{text}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
    }
}
