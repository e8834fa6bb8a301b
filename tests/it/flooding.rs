//! What is flooded, to whom and to whom not. A line that must not come is proved absent by the line behind it.

use proxyherd::server::Announcement;

use crate::support::{Client, FakePeer, Setup, TestNode, wait_until};

/// A node with two linked neighbours: it, what each of them hears, and the first one's connection to it.
struct Herd {
    node: TestNode,
    to_welsh: Client,
    to_ball: Client,
    welsh: Client,
}

fn herd() -> Herd {
    let (welsh, ball) = (FakePeer::new("Welsh"), FakePeer::new("Ball"));
    let node = Setup::new().neighbour(&welsh).neighbour(&ball).start();
    let (to_welsh, to_ball) = (welsh.take_flooder(), ball.take_flooder());
    for _ in 0..2 {
        let announcement = node.announcement();
        assert!(matches!(announcement, Announcement::Linked(_)), "{announcement:?}");
    }
    let welsh = welsh.dial(&node);
    Herd { node, to_welsh, to_ball, welsh }
}

#[test]
fn clients_report_is_flooded_to_every_neighbour_with_the_nodes_name() {
    let mut herd = herd();
    let at = herd.node.client().ask("IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1479413884.392014450");
    assert_eq!(herd.to_welsh.news(), format!("{at} Alford"));
    assert_eq!(herd.to_ball.news(), format!("{at} Alford"));
}

#[test]
fn neighbours_line_goes_to_the_others_and_never_back() {
    let mut herd = herd();
    herd.welsh.send("AT Holiday -0.000000042 far +1+1 5 Welsh\n");
    assert_eq!(herd.to_ball.news(), "AT Holiday -0.000000042 far +1+1 5 Alford");
    let at = herd.node.client().ask("IAMAT near +1+1 5");
    assert_eq!(herd.to_welsh.news(), format!("{at} Alford"));
    assert_eq!(herd.to_ball.news(), format!("{at} Alford"));
}

#[test]
fn stale_report_is_not_flooded() {
    let mut herd = herd();
    let mut client = herd.node.client();
    let first = client.ask("IAMAT a +1+1 5");
    for stale in ["IAMAT a +2+2 4", "IAMAT a +2+2 5", "IAMAT a +2+2 5.0", "IAMAT a +1+1 5"] {
        assert!(client.ask(stale).starts_with("AT "));
    }
    let last = client.ask("IAMAT a +1+1 6");
    for to in [&mut herd.to_welsh, &mut herd.to_ball] {
        assert_eq!(to.news(), format!("{first} Alford"));
        assert_eq!(to.news(), format!("{last} Alford"));
    }
}

#[test]
fn invalid_report_is_not_flooded() {
    let mut herd = herd();
    let mut client = herd.node.client();
    assert_eq!(client.ask("IAMAT a +91+1 5"), "? IAMAT a +91+1 5");
    let at = client.ask("IAMAT a +1+1 5");
    assert_eq!(herd.to_ball.news(), format!("{at} Alford"));
}

#[test]
fn neighbours_line_that_is_not_greater_in_the_total_order_stops() {
    let mut herd = herd();
    for (line, is_news) in [
        ("AT Holiday +0.000000002 a +5+5 5.0", true),
        // The same again, as it would come back round a circle.
        ("AT Holiday +0.000000002 a +5+5 5.0", false),
        ("AT Holiday +0.000000002 a +9+9 4.999999999", false),
        // Of equal times, the greater timestamp text, location, server and skew wins, in that order.
        ("AT Zeta +0.000000009 a +9+9 5", false),
        ("AT Zeta +0.000000009 a +4+4 5.0", false),
        ("AT Alford +0.000000009 a +5+5 5.0", false),
        ("AT Holiday +0.000000001 a +5+5 5.0", false),
        ("AT Holiday +0.000000003 a +5+5 5.0", true),
        ("AT Welsh +0.000000001 a +5+5 5.0", true),
        ("AT Alford +0.000000001 a +6+6 5.0", true),
        ("AT Alford +0.000000001 a +1+1 5.00", true),
        ("AT Alford +0.000000001 a +1+1 5.000000001", true),
    ] {
        herd.welsh.send(format!("{line} Welsh\n"));
        if is_news {
            assert_eq!(herd.to_ball.news(), format!("{line} Alford"));
        }
    }
}

#[test]
fn reports_of_one_time_at_two_nodes_end_alike_at_both() {
    let mut herds = [herd(), herd()];
    let said: Vec<String> = [("+1+1", 0), ("+2+2", 1)]
        .map(|(location, at)| herds[at].node.client().ask(&format!("IAMAT a {location} 5")))
        .into();
    // Each node's neighbour carries what it heard to the other node.
    let heard: Vec<String> = herds.iter_mut().map(|herd| herd.to_welsh.news()).collect();
    for (at, line) in heard.iter().rev().enumerate() {
        let line = line.strip_suffix("Alford").unwrap();
        herds[at].welsh.send(format!("{line}Welsh\n"));
    }
    let greater = said.iter().max_by_key(|at| at.rsplit(' ').nth(1)).unwrap();
    for herd in &herds {
        wait_until("both nodes hold the greater", || &herd.node.client().ask("WHATSAT a 1 1") == greater);
    }
}

#[test]
fn pipelined_reports_are_flooded_in_order() {
    let mut herd = herd();
    let mut client = herd.node.client();
    let sent: String = (0..5000).map(|number| format!("IAMAT c{} +1+1 {number}\n", number % 7)).collect();
    client.send(sent);
    for number in 0..5000 {
        let at = String::from_utf8(client.line()).unwrap();
        assert!(at.ends_with(&format!(" c{} +1+1 {number}\n", number % 7)), "{at}");
        let news = format!("{} Alford", at.trim_end());
        assert_eq!(herd.to_welsh.news(), news);
        assert_eq!(herd.to_ball.news(), news);
    }
}
