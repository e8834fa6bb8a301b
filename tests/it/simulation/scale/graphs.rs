//! Three graphs a large herd might have: nobody planned it, neighbours know each other, or regions have hubs.

use std::fmt;

use proxyherd::core::model::NodeId;

use super::super::{graph::Graph, random::Random};

/// How many links a node has in the first two, on average.
const DEGREE: usize = 4;

/// Of how many links one is rewired in the second.
const REWIRED_ONE_IN: usize = 10;

/// How many nodes a hub has below it in the third.
const FAN_OUT: usize = 10;

/// Which of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Every node has 4 links, to whomever.
    Regular,
    /// That of Watts and Strogatz, "Collective dynamics of small-world networks", 1998.
    SmallWorld,
    /// Every node is the hub of up to ten below it: the herd's hub of regions, theirs of smaller ones.
    Tree,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Regular, Self::SmallWorld, Self::Tree];

    /// One of so many nodes. Draws until it hangs together.
    pub(super) fn graph(self, nodes: usize, random: &mut Random) -> Graph {
        loop {
            let links = match self {
                Self::Regular => regular(nodes, random),
                Self::SmallWorld => small_world(nodes, random),
                Self::Tree => Links::of(nodes, (1..nodes).map(|node| (node, (node - 1) / FAN_OUT))),
            };
            let ids = (0..nodes).map(|node| NodeId::new(&format!("N{node:05}")).unwrap()).collect();
            let graph = Graph { name: format!("{self:?}-{nodes}"), ids, links: links.0 };
            if graph.parts(|_, _| true) == 1 {
                return graph;
            }
        }
    }

    /// What it is, and how it is cut in two.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Regular => {
                "Every node has 4 links, to whomever. Partition: the half of the nodes nearest to one of them, and the rest."
            }
            Self::SmallWorld => {
                "After Watts and Strogatz: a ring in which each node is linked to the two on either side, one link in ten \
                 moved at one end to whomever. Partition: the half of the nodes nearest to one of them, and the rest."
            }
            Self::Tree => {
                "Every node is the hub of up to ten below it. Partition: the first of the root's ten regions, and the rest."
            }
        }
    }

    /// Which nodes one side of a partition has: the half that is nearest to some node, or one of the tree's ten regions.
    pub(super) fn side(self, graph: &Graph, random: &mut Random) -> Vec<bool> {
        let nodes = graph.ids.len();
        let mut side = vec![false; nodes];
        if self == Self::Tree {
            for node in 1..nodes {
                side[node] = node == 1 || side[(node - 1) / FAN_OUT];
            }
            return side;
        }
        let distances = graph.distances(random.below(nodes));
        let mut nearest: Vec<usize> = (0..nodes).collect();
        nearest.sort_by_key(|&node| distances[node]);
        nearest[..nodes / 2].iter().for_each(|&node| side[node] = true);
        side
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Regular => "random regular",
            Self::SmallWorld => "small world",
            Self::Tree => "tree of regions",
        })
    }
}

/// Each node's neighbours.
struct Links(Vec<Vec<usize>>);

impl Links {
    fn of(nodes: usize, pairs: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut links = Self(vec![Vec::new(); nodes]);
        pairs.for_each(|(one, other)| links.add(one, other));
        links
    }

    fn add(&mut self, one: usize, other: usize) {
        self.0[one].push(other);
        self.0[other].push(one);
    }

    fn remove(&mut self, one: usize, other: usize) {
        self.0[one].retain(|&node| node != other);
        self.0[other].retain(|&node| node != one);
    }

    /// Whether the two may be linked.
    fn may_have(&self, one: usize, other: usize) -> bool {
        one != other && !self.0[one].contains(&other)
    }
}

/// Ends of links are paired as they come; a pair that may not be takes one end of a link that is.
fn regular(nodes: usize, random: &mut Random) -> Links {
    let mut ends: Vec<usize> = (0..nodes * DEGREE).map(|end| end / DEGREE).collect();
    for end in (1..ends.len()).rev() {
        ends.swap(end, random.below(end + 1));
    }
    let (mut links, mut made, mut left) = (Links(vec![Vec::new(); nodes]), Vec::new(), Vec::new());
    for pair in ends.chunks_exact(2) {
        if links.may_have(pair[0], pair[1]) {
            links.add(pair[0], pair[1]);
            made.push((pair[0], pair[1]));
        } else {
            left.push((pair[0], pair[1]));
        }
    }
    for (one, other) in left {
        loop {
            let at = random.below(made.len());
            let (third, fourth) = made[at];
            if links.may_have(one, third) && links.may_have(other, fourth) {
                links.remove(third, fourth);
                links.add(one, third);
                links.add(other, fourth);
                made[at] = (one, third);
                made.push((other, fourth));
                break;
            }
        }
    }
    links
}

fn small_world(nodes: usize, random: &mut Random) -> Links {
    let near = 1..=DEGREE / 2;
    let ring = || near.clone().flat_map(|step| (0..nodes).map(move |node| (node, (node + step) % nodes)));
    let mut links = Links::of(nodes, ring());
    for (node, neighbour) in ring() {
        if random.one_in(REWIRED_ONE_IN) {
            let anyone = random.below(nodes);
            if links.may_have(node, anyone) {
                links.remove(node, neighbour);
                links.add(node, anyone);
            }
        }
    }
    links
}

#[test]
fn graphs_have_the_links_they_should() {
    let mut random = Random::new(1);
    let count = |graph: &Graph| graph.links.iter().map(Vec::len).sum::<usize>() / 2;
    for seed in 0..20 {
        let regular = Kind::Regular.graph(50 + seed, &mut random);
        assert!(regular.links.iter().all(|links| links.len() == DEGREE), "{regular:?}");
        let small_world = Kind::SmallWorld.graph(50 + seed, &mut random);
        assert_eq!(count(&small_world), (50 + seed) * DEGREE / 2);
        for graph in [regular, small_world] {
            for (node, links) in graph.links.iter().enumerate() {
                let is_fine = |&peer: &usize| peer != node && graph.links[peer].contains(&node);
                assert!(links.iter().all(is_fine), "{graph:?}");
                assert!(links.iter().all(|peer| links.iter().filter(|other| *other == peer).count() == 1));
            }
        }
    }
    let tree = Kind::Tree.graph(111, &mut random);
    assert_eq!((count(&tree), tree.diameter()), (110, 4));
    let side = Kind::Tree.side(&tree, &mut random);
    assert_eq!(side.iter().filter(|&&is_in| is_in).count(), 11);
}
