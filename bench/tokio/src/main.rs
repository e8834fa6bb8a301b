//! The herd on tokio's event loop: `bench/tasks` with tokio to carry its tasks. `bench/README.md` says how it is started.

mod connection;

use std::error::Error;

use clap::Parser;
use herd_tasks::{ACCEPT_PAUSE, Common, Made, link, session};
use tokio::{
    net::TcpListener,
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use self::connection::Connection;

#[derive(Parser)]
/// The same herd on tokio, with a task per connection
struct Args {
    #[command(flatten)]
    common: Common,
    /// All tasks on one thread, instead of one thread per core
    #[arg(long)]
    current_thread: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let mut builder =
        if args.current_thread { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()?.block_on(serve(args.common))
}

async fn serve(args: Common) -> Result<(), Box<dyn Error>> {
    let Made { herd, links, listener } = herd_tasks::make(args)?;
    let (stop_log, writer) = herd.start_log();
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let carry = |mailbox| tokio::spawn(link::run::<Connection>(herd, mailbox));
    let links: Vec<_> = links.into_iter().map(carry).collect();
    let mut terminated = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                match accepted {
                    Ok((stream, _)) => {
                        tokio::spawn(async move { session::run(herd, Connection::new(stream)?).await });
                    }
                    // The caller has hung up, or descriptors have run out.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            }
            _ = terminated.recv() => break,
        }
    }
    drop(listener);
    herd.stop();
    herd.drain::<Connection>().await;
    for link in links {
        link.await?;
    }
    drop(stop_log);
    writer.map(std::thread::JoinHandle::join);
    Ok(())
}
