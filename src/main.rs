//! tmp
use proxyherd::{config::Herd, model::NodeId, server};
fn main() {
    let name = std::env::args().nth(2).unwrap_or_default();
    let herd = std::env::args()
        .nth(3)
        .map_or_else(Herd::embedded, |f| Herd::load(std::path::Path::new(&f)).unwrap());
    if let Err(e) =
        server::run_node(&herd, &NodeId::new(&name).unwrap(), std::path::Path::new("/tmp/hl"), false)
    {
        eprintln!("{e}");
        std::process::exit(1);
    }
}
