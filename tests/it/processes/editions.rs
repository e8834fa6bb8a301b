//! Every configuration that is shipped, as a herd of real nodes: started in any order, linked, and told of a report that
//! gets everywhere and does not go round for ever.

use proxyherd::system::random;

use super::support::{Herd, eventually, heavy, shipped};

const WITH_PLACES: [&str; 8] = [
    "herd.toml",
    "2014-2015.toml",
    "winter-2016.toml",
    "2018-2019.toml",
    "2020.toml",
    "2021.toml",
    "2022.toml",
    "2023.toml",
];
const WITH_TWEETS: [&str; 2] = ["2012.toml", "winter-2014.toml"];

/// The files in config/, so that none is forgotten.
pub(super) fn all_files() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut files: Vec<_> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    files.sort();
    files
}

#[test]
fn every_shipped_file_is_tested() {
    let mut tested: Vec<_> = WITH_PLACES.iter().chain(&WITH_TWEETS).map(|&file| file.to_owned()).collect();
    tested.sort();
    assert_eq!(tested, all_files());
}

#[test]
fn report_is_known_everywhere_in_each_edition_with_places() {
    let _turn = heavy();
    for file in WITH_PLACES {
        let (herd, order) = started_in_any_order(file);
        println!("{file}, started in the order {order}");
        let ids = herd.ids();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        for reporter in &ids {
            let client = format!("kiwi.at.{reporter}");
            let at = herd.report(reporter, &client, "1479413884.392014450");
            herd.wait_until_known(&ids, &client, &at);
            assert_flooded_once_a_link(&herd, reporter, &at);
        }
    }
}

#[test]
fn report_reaches_everyone_in_each_edition_with_tweets_and_whatsat_gives_them_on_one_line() {
    let _turn = heavy();
    for file in WITH_TWEETS {
        let (herd, order) = started_in_any_order(file);
        println!("{file}, started in the order {order}");
        let ids = herd.ids();
        let reporter = &ids[random::bits() as usize % ids.len()];
        let at = herd.report(reporter, "kiwi.cs.ucla.edu", "1479413884.392014450");
        for id in ids.iter().filter(|&id| id != reporter) {
            eventually(&format!("{id} takes {at}"), || !herd.flooded(id, '<', &at).is_empty());
        }
        assert_flooded_once_a_link(&herd, reporter, &at);
        for id in &ids {
            let mut client = herd.client(id);
            client.send(b"WHATSAT kiwi.cs.ucla.edu 60 100\nWHATSAT kiwi.cs.ucla.edu 20000 3\nWHATSAT kiwi.cs.ucla.edu 1 101\n");
            for (count, all_from) in [(6, Some("Los Angeles, CA")), (3, None)] {
                assert_eq!(client.line(), at);
                let tweets: serde_json::Value = serde_json::from_str(&client.line()).unwrap();
                let results = tweets["results"].as_array().unwrap();
                assert_eq!(results.len(), count, "{file} {id}");
                assert!(all_from.is_none_or(|place| results.iter().all(|tweet| tweet["location"] == place)));
            }
            assert_eq!(client.line(), "? WHATSAT kiwi.cs.ucla.edu 1 101");
        }
    }
}

/// The herd, and the order its nodes were started in.
fn started_in_any_order(file: &str) -> (Herd, String) {
    let mut herd = Herd::new(&shipped(file));
    let mut left = herd.ids();
    let mut order = Vec::new();
    while !left.is_empty() {
        order.push(left.remove(random::bits() as usize % left.len()));
    }
    for id in &order {
        herd.start(id);
    }
    herd.wait_for_links();
    (herd, order.join(", "))
}

/// Every node but the reporter hears of it first from one neighbour and tells the others; the reporter tells them all.
/// So it crosses each link at most twice, and n - 1 of these crossings never happen.
pub(super) fn assert_flooded_once_a_link(herd: &Herd, reporter: &str, at: &str) {
    let ids = herd.ids();
    let count = |id: &str, direction| herd.flooded(id, direction, at).values().sum::<usize>();
    // What a link carries stays in order: once this has crossed them all, so has the report.
    let after = herd.report(reporter, &format!("{reporter}.after"), "1479413885");
    let hears = |id: &String| !herd.flooded(id, '<', &after).is_empty();
    eventually("the next report is heard by all", || ids.iter().filter(|&id| id != reporter).all(hears));
    let total = |direction| ids.iter().map(|id| count(id, direction)).sum::<usize>();
    eventually("what was sent has come", || total('>') == total('<'));
    for id in &ids {
        let degree = herd.neighbours(id).len();
        let sent = herd.flooded(id, '>', at);
        assert!(sent.values().all(|&times| times == 1), "{id} sends {at} at most once a link: {sent:?}");
        let links = if id == reporter { degree } else { degree - 1 };
        assert!(sent.len() <= links, "{id} sends {at} on {} of {links} links", sent.len());
    }
}
