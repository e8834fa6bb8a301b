//! The herd on io_uring: `bench/tasks` on a ring and a thread per core, carried by compio. `bench/README.md` says how it is
//! started.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "whoever starts it is told whether it can run")]

mod connection;

use std::{
    error::Error,
    io,
    net::{TcpListener, TcpStream},
    process::ExitCode,
    thread,
};

use clap::Parser;
use compio::{
    driver::ProactorBuilder,
    runtime::{Runtime, RuntimeBuilder},
};
use herd_tasks::{ACCEPT_PAUSE, Common, Herd, Made, Mailbox, link, session};
use rustix::net::{Shutdown, shutdown};
use signal_hook::{consts::SIGTERM, iterator::Signals};

use self::connection::Connection;

/// The status for a service that is not available here, as sysexits has it.
const UNAVAILABLE: u8 = 69;

#[derive(Parser)]
/// The same herd on io_uring, with a task per connection, and a ring and a thread per core
struct Args {
    /// Say which driver carries it, and end
    #[arg(long, exclusive = true)]
    driver: bool,
    #[command(flatten)]
    common: Option<Common>,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::parse();
    // compio is built without its other driver, so it cannot fall back to polling.
    let driver = match ring() {
        Ok(ring) => ring.driver_type(),
        Err(error) => {
            eprintln!(
                "io_uring is not available here: {error}; see kernel.io_uring_disabled, and a container's seccomp profile"
            );
            return Ok(ExitCode::from(UNAVAILABLE));
        }
    };
    match args.common {
        Some(common) if !args.driver => serve(common)?,
        _ => println!("{driver:?}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// A runtime for one thread.
fn ring() -> io::Result<Runtime> {
    let mut proactor = ProactorBuilder::new();
    proactor.single_issuer(true).defer_taskrun(true);
    RuntimeBuilder::new().with_proactor(proactor).build()
}

fn serve(args: Common) -> Result<(), Box<dyn Error>> {
    let mut stop = Signals::new([SIGTERM])?;
    let Made { herd, mut links, listener } = herd_tasks::make(args)?;
    let (stop_log, writer) = herd.start_log();
    let cores = thread::available_parallelism()?.get();
    let (mut inboxes, mut workers) = (Vec::new(), Vec::new());
    for core in (1..=cores).rev() {
        let own = links.split_off(links.len() - links.len() / core);
        let (sender, inbox) = flume::unbounded();
        let work = move || ring()?.block_on(work(herd, own, inbox));
        workers.push(thread::Builder::new().name(format!("ring-{core}")).spawn(work)?);
        inboxes.push(sender);
    }
    thread::scope(|scope| {
        let (listener, acceptor) = (&listener, thread::Builder::new().name("accept".to_owned()));
        // The inboxes go with it, which tells the rings that nothing more comes.
        acceptor.spawn_scoped(scope, move || hand_out(herd, listener, &inboxes))?;
        stop.forever().next();
        herd.stop();
        io::Result::Ok(shutdown(listener, Shutdown::Read)?)
    })?;
    for worker in workers {
        worker.join().map_err(|_| "a ring's thread panicked")??;
    }
    drop(stop_log);
    writer.map(thread::JoinHandle::join);
    Ok(())
}

/// Connections go to one ring after another. If each ring accepted for itself, with `SO_REUSEPORT`, the system would spread
/// them by a hash, and of 50 connections one core could get 30.
fn hand_out(herd: &Herd, listener: &TcpListener, inboxes: &[flume::Sender<TcpStream>]) {
    for (stream, inbox) in listener.incoming().zip(inboxes.iter().cycle()) {
        match stream {
            _ if herd.is_stopping() => return,
            Ok(stream) => drop(inbox.send(stream)),
            // The caller has hung up, or descriptors have run out.
            Err(_) => thread::sleep(ACCEPT_PAUSE),
        }
    }
}

/// What one ring carries, until no more connections can come, and all sessions and its own links have ended.
async fn work(herd: &'static Herd, links: Vec<Mailbox>, inbox: flume::Receiver<TcpStream>) -> io::Result<()> {
    let carry = |mailbox| compio::runtime::spawn(link::run::<Connection>(herd, mailbox));
    let links: Vec<_> = links.into_iter().map(carry).collect();
    while let Ok(stream) = inbox.recv_async().await {
        compio::runtime::spawn(async move { session::run(herd, Connection::new(stream)?).await }).detach();
    }
    herd.drain::<Connection>().await;
    for link in links {
        link.await.map_err(|_| io::Error::other("a link panicked"))?;
    }
    Ok(())
}
