//! Who is linked with whom: the graphs that are shipped in config/, and random connected ones of 2 to 40 nodes.

use std::{collections::VecDeque, fs, path::Path, sync::LazyLock};

use proxyherd::{config::Herd, core::model::NodeId};

use super::random::Random;

/// The most nodes a random graph has.
const NODES_MAX: usize = 40;

/// A herd's nodes, and for each of them the positions of its neighbours.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    pub(super) name: String,
    pub(super) ids: Vec<NodeId>,
    pub(super) links: Vec<Vec<usize>>,
}

/// Those of config/, in the order of their names.
static SHIPPED: LazyLock<Vec<Graph>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.is_file());
    files.sort();
    files.iter().map(|file| Graph::of_herd(&Herd::load(file).unwrap())).collect()
});

impl Graph {
    /// Every fourth seed gets a shipped graph, each in its turn.
    pub(super) fn of_seed(seed: u64, random: &mut Random) -> Self {
        match seed % 4 {
            0 => SHIPPED[(seed / 4) as usize % SHIPPED.len()].clone(),
            _ => Self::random(random),
        }
    }

    fn of_herd(herd: &Herd) -> Self {
        let position = |id: &NodeId| herd.nodes.iter().position(|node| node.id == *id).unwrap();
        let ids = herd.nodes.iter().map(|node| node.id.clone()).collect();
        let links = herd.nodes.iter().map(|node| node.links.iter().map(position).collect()).collect();
        Self { name: herd.name.clone(), ids, links }
    }

    /// A random tree with some more links; small ones are drawn more often than large ones.
    fn random(random: &mut Random) -> Self {
        let most = random.between(2, NODES_MAX);
        let count = random.between(2, random.clone().between(2, most));
        let mut links = vec![Vec::new(); count];
        let mut link = |one: usize, other: usize| {
            if one != other && !links[one].contains(&other) {
                links[one].push(other);
                links[other].push(one);
            }
        };
        for node in 1..count {
            link(node, random.below(node));
        }
        for _ in 0..random.below(count) {
            link(random.below(count), random.below(count));
        }
        let ids = (0..count).map(|node| NodeId::new(&format!("N{node}")).unwrap()).collect();
        Self { name: format!("random-{count}"), ids, links }
    }

    /// How many links lie between the two nodes that are furthest from each other.
    pub(super) fn diameter(&self) -> usize {
        (0..self.ids.len()).map(|node| self.reach(node)).max().unwrap_or(0)
    }

    /// How many links lie between this node and the one furthest from it.
    fn reach(&self, from: usize) -> usize {
        self.distances(from).into_iter().max().unwrap_or(0)
    }

    /// How many links lie between this node and each.
    pub(super) fn distances(&self, from: usize) -> Vec<usize> {
        let mut distances = vec![None; self.ids.len()];
        self.spread(from, |_, _| true, &mut distances);
        distances.into_iter().map(|distance| distance.unwrap()).collect()
    }

    /// Into how many parts it falls where only some links are there.
    pub(super) fn parts(&self, is_there: impl Fn(usize, usize) -> bool) -> usize {
        let mut distances = vec![None; self.ids.len()];
        let mut count = 0;
        for node in 0..self.ids.len() {
            if distances[node].is_none() {
                self.spread(node, &is_there, &mut distances);
                count += 1;
            }
        }
        count
    }

    /// Notes the distances of all that can be reached over these links.
    fn spread(&self, from: usize, is_there: impl Fn(usize, usize) -> bool, distances: &mut [Option<usize>]) {
        distances[from] = Some(0);
        let mut open = VecDeque::from([from]);
        while let Some(node) = open.pop_front() {
            for &next in &self.links[node] {
                if distances[next].is_none() && is_there(node, next) {
                    distances[next] = distances[node].map(|distance: usize| distance + 1);
                    open.push_back(next);
                }
            }
        }
    }
}
