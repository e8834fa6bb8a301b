//! The pages of clients.

use std::collections::BTreeMap;

use super::*;

/// All clients, and how many each page has.
fn walk(scene: &Scene, query: &[(&str, &str)]) -> (BTreeMap<String, usize>, Vec<usize>) {
    let (mut seen, mut pages, mut after) = (BTreeMap::new(), Vec::new(), None::<String>);
    for _ in 0..100_000 {
        let mut query = query.to_vec();
        query.extend(after.as_deref().map(|after| ("after", after)));
        let (status, told) = scene.said(get(&["v1", "clients"], &query));
        assert_eq!(status, 200, "{told}");
        let clients = told["clients"].as_array().unwrap();
        pages.push(clients.len());
        for client in clients {
            *seen.entry(client["client"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        match told["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => return (seen, pages),
        }
    }
    panic!("there is no end to the pages");
}

fn crowd(scene: &Scene, count: usize) {
    for number in 0..count {
        assert_eq!(scene.put(&format!("c{number:03}"), KIWI).0, 200);
    }
}

#[test]
fn every_client_is_on_one_page_and_no_page_has_more_than_was_asked_for() {
    let scene = Scene::new();
    crowd(&scene, 200);
    for limit in ["1", "7", "200", "1000"] {
        let (seen, pages) = walk(&scene, &[("limit", limit)]);
        assert_eq!(seen.len(), 200);
        assert!(seen.values().all(|times| *times == 1));
        assert!(pages.iter().all(|count| *count <= limit.parse().unwrap()), "{pages:?}");
    }
    let (seen, _) = walk(&scene, &[("prefix", "c01")]);
    assert_eq!(seen.len(), 10);
}

#[test]
fn pages_are_bounded_by_bytes_and_by_what_is_looked_at() {
    let mut scene = Scene::new();
    crowd(&scene, 100);
    let one = scene.answer(get_client("c000")).body.len();
    scene.face = ApiFace::new(ApiBounds { page_bytes: one + 1, ..ApiBounds::default() }, [7; 32]);
    let (seen, pages) = walk(&scene, &[]);
    assert!(seen.len() == 100 && seen.values().all(|times| *times == 1));
    assert!(pages.iter().all(|count| *count <= 2), "{pages:?}");
    // A hundred and twenty-eight, by the next power of two: so each page looks at a quarter of all leaves.
    scene.face = ApiFace::new(ApiBounds { page_records: 32, ..ApiBounds::default() }, [7; 32]);
    let (seen, pages) = walk(&scene, &[("limit", "1000")]);
    assert_eq!((seen.len(), pages.len()), (100, 4));
}

#[test]
fn forgotten_and_hidden_clients_are_on_no_page() {
    let scene = Scene::with(ReportLimits::NONE, Node::forgetting_for_everyone);
    crowd(&scene, 3);
    assert_eq!(scene.said(call(ApiMethod::Delete, &["v1", "clients", "c001"], &[])).0, 204);
    let (seen, _) = walk(&scene, &[]);
    assert_eq!(seen.into_keys().collect::<Vec<_>>(), ["c000", "c002"]);
}

#[test]
fn bad_limits_and_cursors_are_refused() {
    let scene = Scene::new();
    for query in [
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "x"),
        ("limit", ""),
        ("limit", "+1"),
        ("after", ""),
        ("after", "0"),
        ("after", "000000000000000000000000000000000000000000000000"),
        ("page", "1"),
    ] {
        assert_eq!(scene.said(get(&["v1", "clients"], &[query])).0, 400, "{query:?}");
    }
    assert_eq!(scene.said(get(&["v1", "clients"], &[("limit", "1000")])).0, 200);
}
