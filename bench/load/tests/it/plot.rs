//! `herd-load plot` over folders that are made up: every figure is where its axis says, all text is on the paper, and
//! nothing of a run can break a chart.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use roxmltree::{Document, Node};
use serde_json::json;

use crate::{
    recorded::{PERCENTILES, POINTS, Run, SERVERS},
    support::run,
};

/// Of what is drawn: numbers have two decimals.
const EXACT: f64 = 0.02;

/// The charts of a run by their files' names.
fn charts(recorded: &Run) -> BTreeMap<String, String> {
    let folder = recorded.path();
    let output = run(&["plot", folder.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    let read = |line: &str| {
        let path = PathBuf::from(line);
        assert_eq!(path.parent(), Some(&*folder.join("plots")));
        (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
    };
    told.lines().map(read).collect()
}

fn groups<'a>(document: &'a Document<'_>, class: &str) -> Vec<Node<'a, 'a>> {
    document.descendants().filter(|node| node.attribute("class") == Some(class)).collect()
}

/// What a group is of, as its title tells it: `node: 108000 /s (102600 to 112320), 5 rounds`.
fn told(group: Node<'_, '_>) -> (String, [f64; 3]) {
    let title = group.children().find(|node| node.has_tag_name("title")).unwrap().text().unwrap();
    let (label, rest) = title.rsplit_once(": ").unwrap();
    let numbers: Vec<f64> =
        rest.split([' ', '(', ')']).filter_map(|word| word.parse().ok()).take(3).collect();
    (label.to_owned(), numbers.try_into().unwrap())
}

fn attribute(node: Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name).unwrap().parse().unwrap()
}

fn child<'a>(group: Node<'a, 'a>, tag: &str) -> Node<'a, 'a> {
    group.children().find(|node| node.has_tag_name(tag)).unwrap()
}

/// The whisker of a group is its first line.
fn whisker(group: Node<'_, '_>, axis: char) -> [f64; 2] {
    let line = child(group, "line");
    [1, 2].map(|end| attribute(line, &format!("{axis}{end}")))
}

/// Asserts that places follow figures on a straight line, and returns it: the place of zero and the way of one.
fn straight(pairs: &[(f64, f64)]) -> (f64, f64) {
    let order = |one: &&(f64, f64), two: &&(f64, f64)| one.0.total_cmp(&two.0);
    let (low, high) = (pairs.iter().min_by(order).unwrap(), pairs.iter().max_by(order).unwrap());
    let slope = (high.1 - low.1) / (high.0 - low.0);
    let zero = low.1 - slope * low.0;
    for (figure, place) in pairs {
        assert!((zero + slope * figure - place).abs() < EXACT, "{figure} is at {place}, of {pairs:?}");
    }
    (zero, slope)
}

#[test]
fn a_run_gives_all_its_charts() {
    let charts = charts(&Run::sweep());
    let names: Vec<&str> = charts.keys().map(String::as_str).collect();
    let expected = [
        "throughput-by-connections-p1.svg",
        "throughput-by-pipeline-c50.svg",
        "throughput-c10000-active-100.svg",
        "memory-by-connections-p1.svg",
        "memory-c50-p1.svg",
        "memory-a-connection-c10000.svg",
        "memory-a-client-c10000.svg",
        "cpu-c50-p64.svg",
        "latency-c500-p1.svg",
        "hop-flood-idle-1.svg",
        "hop-flood-idle-3.svg",
    ];
    assert!(expected.iter().all(|name| names.contains(name)), "{names:?}");
    assert_eq!(names.len(), 3 + 4 * POINTS.len() + 2 + 2);
}

#[test]
fn only_the_chosen_servers_are_drawn_in_their_order_and_under_their_labels() {
    let recorded = Run::sweep();
    let folder = recorded.path().to_str().unwrap().to_owned();
    let output = run(&["plot", &folder, "--only-server", "twisted,node=threads"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let chart = fs::read_to_string(recorded.path().join("plots/throughput-c50-p64.svg")).unwrap();
    let document = Document::parse(&chart).unwrap();
    let labels: Vec<_> = groups(&document, "bar").into_iter().map(|bar| told(bar).0).collect();
    assert_eq!(labels, ["twisted", "threads"]);
    let output = run(&["plot", &folder, "--only-server", "node,nobody"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("has no server \"nobody\"; it has ") && told.contains("twisted"), "{told}");
}

#[test]
fn bars_are_as_long_as_their_figures() {
    let charts = charts(&Run::sweep());
    let document = Document::parse(&charts["throughput-c50-p64.svg"]).unwrap();
    let bars = groups(&document, "bar");
    assert_eq!(bars.len(), SERVERS.len());
    let mut pairs = Vec::new();
    for (bar, (server, thousands)) in bars.iter().zip(SERVERS) {
        let (label, [median, min, max]) = told(*bar);
        assert_eq!((&*label, median), (server, thousands * 11_000.0));
        let rect = child(*bar, "rect");
        let from = attribute(rect, "x");
        let [least, greatest] = whisker(*bar, 'x');
        pairs.extend([(0.0, from), (median, from + attribute(rect, "width")), (min, least), (max, greatest)]);
    }
    straight(&pairs);
    assert!(pairs.iter().all(|(_, place)| *place <= 237.6));
}

#[test]
fn percentiles_are_where_a_logarithmic_axis_has_them() {
    let charts = charts(&Run::sweep());
    let document = Document::parse(&charts["latency-c50-p1.svg"]).unwrap();
    let points = groups(&document, "point");
    assert_eq!(points.len(), SERVERS.len() * PERCENTILES.len());
    let pairs: Vec<_> = points
        .iter()
        .flat_map(|point| {
            let (_, [_, min, max]) = told(*point);
            let [least, greatest] = whisker(*point, 'x');
            [(min.ln(), least), (max.ln(), greatest)]
        })
        .collect();
    straight(&pairs);
    let (label, _) = told(points[9]);
    assert_eq!(label, "echo-events, max");
}

#[test]
fn lines_are_from_zero_and_over_the_logarithm_of_connections() {
    let mut run = Run::sweep();
    // Those that differ too much from the others turn the axis logarithmic.
    run.change(|line| {
        if line["server"] == "twisted" || line["server"] == "asyncio" {
            line["what"] = json!("other");
        }
    });
    let charts = charts(&run);
    let document = Document::parse(&charts["throughput-by-connections-p1.svg"]).unwrap();
    let points = groups(&document, "point");
    assert_eq!(points.len(), (SERVERS.len() - 2) * 3);
    let up: Vec<_> = points
        .iter()
        .flat_map(|point| {
            let (_, [_, min, max]) = told(*point);
            let [low, high] = whisker(*point, 'y');
            [(min, low), (max, high)]
        })
        .collect();
    let (zero, slope) = straight(&up);
    assert!(slope < 0.0);
    let axis = document.descendants().filter(|node| node.has_tag_name("line"));
    assert!(axis.into_iter().any(|line| {
        [attribute(line, "y1"), attribute(line, "y2")].iter().all(|y| (y - zero).abs() < EXACT)
    }));
    for line in document.descendants().filter(|node| node.has_tag_name("polyline")) {
        let points = line.attribute("points").unwrap();
        let x = |point: &str| -> f64 { point.split(',').next().unwrap().parse().unwrap() };
        let places: Vec<f64> = points.split(' ').map(x).collect();
        let pairs: Vec<_> = [50.0_f64, 500.0, 10_000.0].map(f64::ln).into_iter().zip(places).collect();
        straight(&pairs);
    }
}

/// A text's box, about: left, right, top, bottom.
fn area(text: Node<'_, '_>) -> [f64; 4] {
    let size = text.attribute("font-size").map_or(9.0, |size| size.parse().unwrap());
    assert!(size >= 9.0);
    let width = text.text().unwrap_or_default().chars().count() as f64 * size * 0.53;
    let (x, y) = (attribute(text, "x"), attribute(text, "y"));
    let left = match text.attribute("text-anchor") {
        Some("end") => x - width,
        Some("middle") => x - width / 2.0,
        _ => x,
    };
    [left, left + width, y - size * 0.72, y + size * 0.2]
}

/// Asserts of a chart what holds for all: all text is on the paper, and none over another.
fn assert_readable(name: &str, chart: &str) {
    let document = Document::parse(chart).unwrap_or_else(|error| panic!("{name}: {error}"));
    let root = document.root_element();
    assert_eq!(attribute(root, "font-size"), 9.0);
    let paper: Vec<f64> =
        root.attribute("viewBox").unwrap().split(' ').map(|number| number.parse().unwrap()).collect();
    let background = child(root, "rect");
    assert_eq!(background.attribute("fill"), Some("#ffffff"));
    assert_eq!((attribute(background, "width"), attribute(background, "height")), (paper[2], paper[3]));
    let texts: Vec<_> = document.descendants().filter(|node| node.has_tag_name("text")).collect();
    for (index, text) in texts.iter().enumerate() {
        let [left, right, top, bottom] = area(*text);
        let is_inside = left >= -0.5 && top >= 0.0 && right <= paper[2] + 0.5 && bottom <= paper[3];
        assert!(is_inside, "{name}: {:?} is not on the paper", text.text());
        for other in &texts[..index] {
            let [from, to, above, below] = area(*other);
            let is_apart = right <= from || left >= to || bottom <= above || top >= below;
            assert!(is_apart, "{name}: {:?} is over {:?}", text.text(), other.text());
        }
    }
}

#[test]
fn all_text_is_on_the_paper_and_apart() {
    for (name, chart) in &charts(&Run::sweep()) {
        assert_readable(name, chart);
    }
}

/// Captions are in the file for who asks, and nowhere on the paper.
#[test]
fn charts_without_captions_show_nothing_but_the_figures() {
    let recorded = Run::sweep();
    let folder = recorded.path();
    let captioned = charts(&recorded);
    let out = tempfile::tempdir().unwrap();
    let (folder, to) = (folder.to_str().unwrap(), out.path().to_str().unwrap());
    assert!(run(&["plot", folder, "--no-captions", "--out", to]).status.success());
    for (name, with) in &captioned {
        let without = fs::read_to_string(out.path().join(name)).unwrap();
        assert_readable(name, &without);
        let [with, without] = [with, &without].map(|chart| Document::parse(chart).unwrap());
        let texts = |document: &Document<'_>| -> String {
            let texts = document.descendants().filter(|node| node.has_tag_name("text"));
            texts.filter_map(|text| text.text()).collect::<Vec<_>>().join(" ")
        };
        let about = |document: &Document<'_>| {
            let find = |tag| document.root_element().children().find(|node| node.has_tag_name(tag));
            ["title", "desc"].map(|tag| find(tag).unwrap().text().unwrap().to_owned())
        };
        assert_eq!(about(&with), about(&without));
        let is_captioned = ["whiskers from quartile to quartile", &about(&with)[0]].map(|caption| {
            let words: Vec<_> = caption.split_whitespace().collect();
            [&with, &without].map(|document| texts(document).contains(&words.join(" ")))
        });
        assert_eq!(is_captioned, [[true, false]; 2], "{name}");
    }
}

/// With so many servers and such figures as come apart by orders of magnitude.
#[test]
fn whiskers_are_whole_and_beside_each_other() {
    let mut recorded = Run::empty();
    for server in 0..12 {
        for connections in [1, 10, 10_000, 15_000] {
            for (round, value) in [(1, 2.0), (2, 20_000.0), (3, 200_000.0 + f64::from(server))] {
                let at = json!({"connections": connections, "pipeline": 1});
                let (part, server) = (format!("C={connections}"), format!("s{server}"));
                let value = if connections == 1 { value } else { value * 100.0 };
                recorded.add(&json!({
                    "round": round, "part": part, "server": server, "what": "rate", "unit": "/s",
                    "value": value, "at": at,
                }));
            }
        }
    }
    let charts = charts(&recorded);
    let chart = &charts["throughput-by-connections-p1.svg"];
    assert_readable("lines", chart);
    let document = Document::parse(chart).unwrap();
    let points = groups(&document, "point");
    let mut across: Vec<f64> = points.iter().map(|point| whisker(*point, 'x')[0]).collect();
    across.sort_by(f64::total_cmp);
    assert_eq!(across.len(), 48);
    assert!(across.windows(2).all(|pair| pair[1] - pair[0] > 0.2), "{across:?}");
    let pairs: Vec<_> = points
        .iter()
        .flat_map(|point| {
            let (_, [_, min, max]) = told(*point);
            let [low, high] = whisker(*point, 'y');
            [(min.ln(), low), (max.ln(), high)]
        })
        .collect();
    straight(&pairs);
    for named in ["1", "10", "15 k"] {
        assert!(chart.contains(&format!(">{named}</text>")), "{named}: {chart}");
    }
}

#[test]
fn no_name_breaks_a_chart() {
    let mut run = Run::sweep();
    run.change(|line| {
        if line["server"] == "node" {
            line["server"] = json!("<b>\"&'\u{1}");
        } else if line["server"] == "java" {
            line["server"] = json!("a name that is far longer than anyone should give to a server");
        }
        if line["part"] == "C=500 P=1" {
            line["part"] = json!("../<C> & a point with a name that does not fit in one line of the title");
        }
    });
    let charts = charts(&run);
    assert!(
        charts.contains_key(
            "throughput-..-c-a-point-with-a-name-that-does-not-fit-in-one-line-of-the-title.svg"
        )
    );
    for (name, chart) in &charts {
        assert_readable(name, chart);
    }
    let document = Document::parse(&charts["throughput-c50-p1.svg"]).unwrap();
    assert_eq!(told(groups(&document, "bar")[2]).0, "<b>\"&'\u{fffd}");
}

#[test]
fn odd_figures_are_drawn_too() {
    let mut run = Run::empty();
    for (server, value) in [("none", 0.0), ("one", 1.0), ("many", 1e12)] {
        for (what, unit) in [("rate", "/s"), ("service p50", "µs"), ("rss under load", "bytes")] {
            let at = json!({"connections": 1, "pipeline": 1});
            run.add(
                &json!({"part": "p", "server": server, "what": what, "unit": unit, "value": value, "at": at}),
            );
        }
    }
    run.add(&json!({"part": "none", "what": "rate", "unit": "/s", "value": 0.0}));
    for (name, chart) in &charts(&run) {
        assert_readable(name, chart);
        assert!(!chart.contains("NaN") && !chart.contains("inf"), "{chart}");
    }
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let run = Run::sweep();
    assert_eq!(charts(&run), charts(&run));
}

#[test]
fn what_is_invalid_is_left_out_and_told() {
    let mut run = Run::sweep();
    run.change(|line| {
        if line["what"] == "rate"
            && line["part"] == "C=50 P=1"
            && line["server"] == "node"
            && line["round"] == 2
        {
            line["invalid"] = json!("it rained");
            line["value"] = json!(1e9);
        }
    });
    let charts = charts(&run);
    let chart = &charts["throughput-c50-p1.svg"];
    assert!(chart.contains("Invalid and left out: 1."), "{chart}");
    assert!(chart.contains("node: 109080 /s (106650 to 110700), 4 rounds"), "{chart}");
    assert!(chart.contains("4 to 5 rounds"), "{chart}");
    assert!(!charts["throughput-c50-p64.svg"].contains("Invalid"));
}

#[test]
fn responses_are_drawn_where_there_are_some() {
    let mut run = Run::empty();
    for (what, value) in [("service p50", 3.0), ("response p50", 5.0)] {
        let at = json!({"connections": 50, "rate": 1_000.0});
        run.add(
            &json!({"part": "open", "server": "node", "what": what, "unit": "µs", "value": value, "at": at}),
        );
    }
    let charts = charts(&run);
    let chart = &charts["latency-open.svg"];
    assert!(chart.contains("node, p50: 5 µs") && !chart.contains("p50: 3 µs"), "{chart}");
    assert!(chart.contains("Response time, from when each request was due: open"), "{chart}");
}

#[test]
fn charts_go_where_they_are_told_to() {
    let recorded = Run::sweep();
    let folder = recorded.path();
    let out = tempfile::tempdir().unwrap();
    let output =
        |folder: &Path, out: &Path| run(&["plot", folder.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert!(output(&folder, &out.path().join("new")).status.success());
    assert!(out.path().join("new/throughput-c50-p1.svg").exists());
    assert!(!folder.join("plots").exists());

    let refused = output(&folder, &folder.join("raw.jsonl"));
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("give another --out"));
    let missing = output(&out.path().join("missing"), out.path());
    assert!(String::from_utf8_lossy(&missing.stderr).contains("missing/raw.jsonl"));
}

#[test]
fn a_run_with_nothing_to_draw_is_told() {
    let mut recorded = Run::empty();
    recorded.add(&json!({"part": "link", "what": "updates, no log", "unit": "k/s", "value": 1.0}));
    let folder = recorded.path();
    let output = run(&["plot", folder.to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("has no figure that charts are drawn of"));
}
