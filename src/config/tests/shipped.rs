//! Every file in config/ has exactly the servers and links of its edition.

use super::*;

/// File, servers and links, as the assignment of that edition has them.
const EDITIONS: [(&str, &str, &str); 10] = [
    (
        "herd",
        "Alford Ball Hamilton Holiday Welsh",
        "Alford-Hamilton, Alford-Welsh, Ball-Holiday, Ball-Welsh, Hamilton-Holiday",
    ),
    (
        "2012",
        "Blake Bryant Gasol Howard Metta",
        "Blake-Howard, Blake-Bryant, Gasol-Howard, Gasol-Bryant, Bryant-Metta",
    ),
    (
        "winter-2014",
        "Farmar Gasol Hill Meeks Young",
        "Farmar-Meeks, Farmar-Young, Gasol-Meeks, Gasol-Young, Hill-Meeks",
    ),
    (
        "2014-2015",
        "Alford Bolden Hamilton Parker Powell",
        "Alford-Parker, Alford-Powell, Bolden-Parker, Bolden-Powell, Hamilton-Parker",
    ),
    (
        "winter-2016",
        "Alford Bolden Hamilton Parker Welsh",
        "Alford-Parker, Alford-Welsh, Bolden-Parker, Bolden-Welsh, Hamilton-Parker",
    ),
    (
        "2018-2019",
        "Goloman Hands Holiday Welsh Wilkes",
        "Goloman-Hands, Goloman-Holiday, Goloman-Wilkes, Hands-Wilkes, Holiday-Welsh, Holiday-Wilkes",
    ),
    (
        "2020",
        "Hill Jaquez Smith Campbell Singleton",
        "Hill-Jaquez, Hill-Smith, Singleton-Jaquez, Singleton-Smith, Singleton-Campbell, Smith-Campbell",
    ),
    (
        "2021",
        "Riley Jaquez Juzang Campbell Bernard",
        "Riley-Jaquez, Riley-Juzang, Bernard-Jaquez, Bernard-Juzang, Bernard-Campbell, Juzang-Campbell",
    ),
    (
        "2022",
        "Juzang Bernard Jaquez Johnson Clark",
        "Clark-Jaquez, Clark-Juzang, Bernard-Jaquez, Bernard-Juzang, Bernard-Johnson, Juzang-Johnson",
    ),
    (
        "2023",
        "Bailey Bona Campbell Clark Jaquez",
        "Clark-Jaquez, Clark-Bona, Campbell-Bailey, Campbell-Bona, Campbell-Jaquez, Bona-Bailey",
    ),
];

fn shipped(file: &str) -> Herd {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(format!("{file}.toml"));
    Herd::load(&path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn shipped_files_are_the_editions() {
    for (file, servers, links) in EDITIONS {
        let herd = shipped(file);
        assert_eq!(
            herd.nodes.iter().map(|node| node.id.as_str()).collect::<Vec<_>>().join(" "),
            servers,
            "{file}"
        );
        let mut wanted: Vec<_> = links
            .split(", ")
            .map(|link| link.split_once('-').unwrap())
            .flat_map(|(a, b)| [(a, b), (b, a)])
            .collect();
        let mut found: Vec<_> = herd
            .nodes
            .iter()
            .flat_map(|node| node.links.iter().map(|link| (node.id.as_str(), link.as_str())))
            .collect();
        wanted.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, wanted, "{file}");
        let tweets = ["2012", "winter-2014"].contains(&file);
        assert_eq!(herd.places.source == PlacesSource::Tweets, tweets, "{file}");
        assert_eq!(Herd::parse(&herd.to_toml(), "again").unwrap(), herd, "{file}");
    }
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("config")).unwrap();
    let files = files.filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_file());
    assert_eq!(files.count(), EDITIONS.len(), "a file is shipped that no edition has");
    assert_eq!(Herd::embedded(), shipped("herd"));
}

#[test]
fn all_editions_can_run_side_by_side() {
    let mut ports: Vec<_> =
        EDITIONS.iter().flat_map(|(file, ..)| shipped(file).nodes).map(|node| node.listen.port).collect();
    assert_eq!(ports[..5], [11600, 11601, 11602, 11603, 11604]);
    assert!(ports.iter().all(|&port| port < 32_768), "a port is in the range that systems hand out");
    let count = ports.len();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), count);
}
