//! Stands between a daemon and the engine's socket: it numbers what the daemon changes, can act at the moment of one of
//! these changes, and can be slow or gone. Everything passes as it comes: streams and hijacked connections as well.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

/// Where the host's engine listens.
const ENGINE: &str = "/var/run/docker.sock";
/// What waits, asks or fetches: nothing of the engine is other than before.
const HARMLESS: [&str; 5] = ["/wait", "/exec", "/resize", "/images/create", "/auth"];
/// After an act the connection stays as it is for so long: whoever was killed must not see it break first.
const AFTERMATH: Duration = Duration::from_millis(100);

/// When something happens, seen from the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The engine never hears of the change.
    Before,
    /// The engine has made it, and who asked for it never hears of that.
    After,
}

/// How the engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As it really is.
    Itself,
    /// Each piece of an answer comes so much later.
    Slow(Duration),
    /// Nobody listens, and every connection is cut.
    Gone,
}

/// Asked at each change, in each of its moments; `true`: the change ends here.
type Hook = Box<dyn FnMut(&Change) -> bool + Send>;

/// A change that is asked of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// It is the so-manieth, from 1.
    pub n: usize,
    /// What: `POST /containers/create?name=shop-app-1`, without the API's version.
    pub what: String,
    /// Seen from the engine.
    pub moment: Moment,
}

struct Inner {
    changes: Vec<String>,
    hook: Option<Hook>,
}

struct Shared {
    engine: PathBuf,
    inner: Mutex<Inner>,
    mood: watch::Sender<Mood>,
}

/// The engine, as a daemon under test sees it.
pub struct EngineProxy {
    dir: TempDir,
    shared: Arc<Shared>,
    /// Of its own: a test that waits for Docker must not make it stumble.
    runtime: Option<Runtime>,
}

impl EngineProxy {
    /// Stands before the host's engine.
    #[must_use]
    pub fn start() -> Self {
        Self::before(Path::new(ENGINE))
    }

    /// Stands before the engine that listens there.
    #[must_use]
    pub fn before(engine: &Path) -> Self {
        let dir = TempDir::with_prefix("canaryd-e2e-engine-").expect("a temporary directory");
        // It tells of the engine's lives.
        std::os::unix::fs::symlink(engine.with_extension("pid"), dir.path().join("docker.pid")).expect("a symlink");
        let inner = Mutex::new(Inner { changes: Vec::new(), hook: None });
        let shared = Arc::new(Shared { engine: engine.to_owned(), inner, mood: watch::Sender::new(Mood::Itself) });
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let proxy = Self { dir, shared, runtime: Some(runtime) };
        let listener = proxy.listen();
        let (path, shared) = (proxy.socket(), Arc::clone(&proxy.shared));
        proxy.runtime.as_ref().expect("just made").spawn(accept(listener, path, shared));
        proxy
    }

    fn listen(&self) -> UnixListener {
        let _inside = self.runtime.as_ref().expect("it runs").enter();
        UnixListener::bind(self.socket()).expect("a socket")
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// For the daemon's environment: what `DOCKER_HOST` is to be.
    #[must_use]
    pub fn docker_host(&self) -> PathBuf {
        format!("unix://{}", self.socket().display()).into()
    }

    /// What was asked to be changed so far.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        self.shared.inner().changes.clone()
    }

    /// Asks this at every change from now on; they are counted from 1 again.
    pub fn hook(&self, hook: impl FnMut(&Change) -> bool + Send + 'static) {
        *self.shared.inner() = Inner { changes: Vec::new(), hook: Some(Box::new(hook)) };
    }

    /// Asks no more.
    pub fn unhook(&self) {
        self.shared.inner().hook = None;
    }

    /// Makes the engine slow, gone, or itself again.
    pub fn mood(&self, mood: Mood) {
        self.shared.mood.send_replace(mood);
    }
}

impl Drop for EngineProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begun(&self, what: String) -> (Change, bool) {
        let mut inner = self.inner();
        inner.changes.push(what.clone());
        let change = Change { n: inner.changes.len(), what, moment: Moment::Before };
        let ends = inner.hook.as_mut().is_some_and(|hook| hook(&change));
        (change, ends)
    }

    fn made(&self, change: Change) -> bool {
        let change = Change { moment: Moment::After, ..change };
        self.inner().hook.as_mut().is_some_and(|hook| hook(&change))
    }

    /// An answer's next piece is on its way.
    async fn delay(&self) {
        let mood = *self.mood.borrow();
        if let Mood::Slow(by) = mood {
            let mut changes = self.mood.subscribe();
            // Those on their way come at once when it is itself again.
            let _ = tokio::time::timeout(by, changes.wait_for(|now| *now != mood)).await;
        }
    }
}

async fn accept(mut listener: UnixListener, path: PathBuf, shared: Arc<Shared>) {
    let mut mood = shared.mood.subscribe();
    loop {
        let gone = mood.wait_for(|mood| *mood == Mood::Gone);
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                tokio::spawn(serve_while_there(client, Arc::clone(&shared)));
                continue;
            }
            _ = gone => {}
        }
        drop(listener);
        let back = mood.wait_for(|mood| *mood != Mood::Gone).await.is_ok();
        let _ = std::fs::remove_file(&path);
        let Some(again) = UnixListener::bind(&path).ok().filter(|_| back) else { return };
        listener = again;
    }
}

async fn serve_while_there(client: UnixStream, shared: Arc<Shared>) {
    let mut mood = shared.mood.subscribe();
    tokio::select! {
        _ = mood.wait_for(|mood| *mood == Mood::Gone) => {}
        _ = serve(client, &shared) => {}
    }
}

/// One request: a connection serves no second one.
async fn serve(mut client: UnixStream, shared: &Shared) -> io::Result<()> {
    let request = head_of(&mut client).await?;
    let change = change_of(&request).map(|what| shared.begun(what));
    if change.as_ref().is_some_and(|(_, ends)| *ends) {
        tokio::time::sleep(AFTERMATH).await;
        return Ok(());
    }
    let mut engine = UnixStream::connect(&shared.engine).await?;
    engine.write_all(&closing(&request)).await?;
    let (mut from_engine, mut to_engine) = engine.into_split();
    let (mut from_client, mut to_client) = client.into_split();
    let up = async {
        pass(&mut from_client, &mut to_engine).await?;
        to_engine.shutdown().await
    };
    let down = async {
        let answer = head_of(&mut from_engine).await?;
        if change.is_some_and(|(change, _)| shared.made(change)) {
            tokio::time::sleep(AFTERMATH).await;
            return Err(ErrorKind::ConnectionAborted.into());
        }
        shared.delay().await;
        to_client.write_all(&answer).await?;
        pass_late(&mut from_engine, &mut to_client, shared).await
    };
    tokio::pin!(down);
    tokio::select! {
        done = &mut down => return done,
        done = up => done?,
    }
    // Who asked says no more, and may still listen.
    down.await
}

async fn pass(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    tokio::io::copy(from, to).await.map(|_| ())
}

async fn pass_late(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    shared: &Shared,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return to.shutdown().await;
        }
        shared.delay().await;
        to.write_all(&buffer[..n]).await?;
    }
}

/// Everything up to the end of the head, and what came with it.
async fn head_of(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    while end_of(&head).is_none() {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&buffer[..n]);
    }
    Ok(head)
}

fn end_of(head: &[u8]) -> Option<usize> {
    head.windows(4).position(|w| w == b"\r\n\r\n")
}

/// `METHOD /path?query` without the API's version, if it changes something.
fn change_of(request: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(request.split(|b| *b == b'\r').next()?).into_owned();
    let mut words = line.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let bare = target.strip_prefix("/v").and_then(|rest| rest.split_once('/'));
    let target = bare.map_or(target.to_owned(), |(_, rest)| format!("/{rest}"));
    let changes = matches!(method, "POST" | "PUT" | "DELETE") && !HARMLESS.iter().any(|part| target.contains(part));
    changes.then(|| format!("{method} {target}"))
}

/// The same request, with the wish that the connection ends with it, unless it is to become another protocol.
fn closing(request: &[u8]) -> Vec<u8> {
    let end = end_of(request).unwrap_or(0);
    let upgrades = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase().contains("\nupgrade:");
    let mut closing = request.to_vec();
    if !upgrades {
        closing.splice(end..end, *b"\r\nConnection: close");
    }
    closing
}
