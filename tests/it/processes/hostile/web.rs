//! What connections to the web face cost.

use super::*;

/// A node whose web face takes as many as there are.
fn with_web(kind: &'static str) -> Scene {
    let more =
        format!("{ALONE}\nhttp = \"127.0.0.1:11680\"\n[http]\nconnections = 1000\nidle_seconds = 3600");
    Scene::with(kind, "11680", |_| {}, (&more, ""))
}

/// Sends a request on each, and reads its reply, which ends with that.
fn ask(streams: &mut [TcpStream], request: &str, end: &str) {
    for stream in streams {
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = Vec::new();
        while !reply.ends_with(end.as_bytes()) {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap();
            assert!(count > 0, "{}", reply.escape_ascii());
            reply.extend_from_slice(&bytes[..count]);
        }
    }
}

#[test]
fn connections_to_the_web_face_that_stay_open() {
    let _turn = heavy();
    if !can_count() {
        return;
    }
    let mut scene = with_web("keeps its connection to `http` open");
    let mut streams = scene.connect();
    // As large as a phone's, and larger.
    let long = format!("GET /?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(4_000));
    ask(&mut streams, &long, "/metrics\n");
    ask(&mut streams, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", "live\n");
    scene.expect_to_come_down(|| {});
}
