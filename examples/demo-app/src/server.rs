//! Connections: a thread each, kept alive between requests, and an end that loses none.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::App;
use crate::http::{Body, Request};
use crate::routes::{self, Outcome};

/// How long idle connections may still bring a request after SIGTERM; its answer says `Connection: close`.
const LAST_CALL: Duration = Duration::from_millis(200);
/// Enough for a request; the default of 2 MiB is for programs that recurse.
const STACK: usize = 256 * 1024;

/// The listening port with all its connections.
#[derive(Debug)]
pub(crate) struct Door {
    app: Arc<App>,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// Between two requests.
    idle: AtomicBool,
}

impl Door {
    pub(crate) fn new(app: &Arc<App>) -> Self {
        Self { app: Arc::clone(app), connections: Mutex::default() }
    }

    /// Serves until [`Door::close`], and then until the last request is answered or the grace is over.
    pub(crate) fn serve(self: &Arc<Self>) -> io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.app.settings.port))?;
        self.app.say(&format!("listens on port {}", self.app.settings.port));
        let mut number = 0;
        while !self.app.closing() {
            match listener.accept() {
                Ok((stream, _)) => self.admit(&mut number, stream),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        self.admit_the_waiting(&listener, &mut number)?;
        drop(listener);
        self.wait_for_the_last();
        Ok(())
    }

    /// Ends what is idle, once the clients' last requests had time to arrive.
    pub(crate) fn close(&self) {
        // Wakes the accepting thread.
        let own = SocketAddr::from((Ipv4Addr::LOCALHOST, self.app.settings.port));
        drop(TcpStream::connect_timeout(&own, LAST_CALL));
        std::thread::sleep(LAST_CALL);
        for connection in self.connections().values() {
            if connection.idle.load(Ordering::SeqCst) {
                // What has arrived can still be read; then the stream ends.
                let _ = connection.stream.shutdown(Shutdown::Read);
            }
        }
    }

    /// Connections that the kernel has accepted and nobody has seen would be reset with the listener.
    fn admit_the_waiting(self: &Arc<Self>, listener: &TcpListener, number: &mut u64) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false)?;
            self.admit(number, stream);
        }
        Ok(())
    }

    fn admit(self: &Arc<Self>, number: &mut u64, stream: TcpStream) {
        *number += 1;
        let (id, door) = (*number, Arc::clone(self));
        let connection = Arc::new(Connection { stream, idle: AtomicBool::new(true) });
        self.connections().insert(id, Arc::clone(&connection));
        let started = std::thread::Builder::new().stack_size(STACK).spawn(move || {
            // A broken connection is the client's matter.
            let _ = converse(&door.app, &connection);
            door.connections().remove(&id);
        });
        if started.is_err() {
            self.connections().remove(&id);
        }
    }

    fn wait_for_the_last(&self) {
        let until = Instant::now() + self.app.settings.grace;
        while Instant::now() < until && !self.connections().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = self.app.metrics.in_flight();
        if left > 0 {
            self.app.say(&format!("gives up on {left} requests after {:?}", self.app.settings.grace));
        }
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's life.
fn converse(app: &App, connection: &Connection) -> io::Result<()> {
    let stream = &connection.stream;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        connection.idle.store(true, Ordering::SeqCst);
        if reader.fill_buf()?.is_empty() {
            return part(stream);
        }
        connection.idle.store(false, Ordering::SeqCst);
        if !exchange(app, &mut reader, stream)? {
            return part(stream);
        }
    }
}

/// One request and its answer; whether another one may follow.
fn exchange(app: &App, reader: &mut BufReader<&TcpStream>, stream: &TcpStream) -> io::Result<bool> {
    let request = match Request::read(reader) {
        Ok(Some(request)) => request,
        Ok(None) => return Ok(false),
        Err(error) => {
            routes::refuse(&error).write(&mut &*stream, "GET", false)?;
            return Ok(false);
        }
    };
    if request.says("Expect", "100-continue") {
        io::Write::write_all(&mut &*stream, b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = Body::new(&mut *reader, request.body_length()?);
    let outcome = routes::answer(app, &request, &mut body, stream);
    match outcome {
        Outcome::Respond(response) => {
            body.drain()?;
            let keep_alive = request.keeps_alive() && !app.closing();
            response.write(&mut &*stream, &request.method, keep_alive)?;
            Ok(keep_alive)
        }
        Outcome::Streamed { goes_on } => Ok(goes_on && request.keeps_alive() && !app.closing()),
        Outcome::Upgrade => {
            crate::websocket::echo(app, &request, reader, stream)?;
            Ok(false)
        }
        Outcome::Cut => {
            stream.shutdown(Shutdown::Both)?;
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    }
}

/// Says goodbye and waits for the client to do so: a socket closed over unread bytes would reset the connection, and
/// with it an answer that is still on its way (RFC 9112 §9.6).
fn part(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(LAST_CALL))?;
    let mut rest = [0; 4096];
    let until = Instant::now() + LAST_CALL;
    while Instant::now() < until && stream.read(&mut rest)? > 0 {}
    Ok(())
}
