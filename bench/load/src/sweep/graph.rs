//! Which nodes of a herd are linked: a shape of so many nodes, or the links of a configured herd.

use std::{fs, path::Path};

use serde::Deserialize;

/// A herd's links, between its nodes by their numbers from 0, each named once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Graph {
    pub(super) nodes: usize,
    pub(super) links: Vec<(usize, usize)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Shape {
    /// Each with the next.
    #[default]
    Line,
    /// All with the first.
    Star,
    /// Each with the next, and the last with the first.
    Ring,
}

/// What is read of a herd's configuration.
#[derive(Deserialize)]
struct Herd {
    node: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    #[serde(default)]
    links: Vec<String>,
}

impl Graph {
    pub(super) fn of_shape(shape: Shape, nodes: usize) -> Self {
        let next = || (1..nodes).map(|number| (number - 1, number));
        let links = match shape {
            Shape::Line => next().collect(),
            Shape::Star => (1..nodes).map(|number| (0, number)).collect(),
            Shape::Ring if nodes > 2 => next().chain([(nodes - 1, 0)]).collect(),
            Shape::Ring => next().collect(),
        };
        Self { nodes, links }
    }

    /// That of a configuration file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::of_herd(&text)
    }

    fn of_herd(text: &str) -> Result<Self, String> {
        let herd: Herd = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let place = |id: &String| {
            let place = herd.node.iter().position(|node| node.id == *id);
            place.ok_or_else(|| format!("there is no node {id:?}"))
        };
        let mut links = Vec::new();
        for (own, node) in herd.node.iter().enumerate() {
            for other in &node.links {
                let other = place(other)?;
                if !links.contains(&(other, own)) {
                    links.push((own, other));
                }
            }
        }
        Ok(Self { nodes: herd.node.len(), links })
    }

    /// The nodes that one is linked with.
    pub(super) fn neighbours(&self, own: usize) -> impl Iterator<Item = usize> {
        self.links.iter().filter_map(move |(one, two)| match (*one == own, *two == own) {
            (true, _) => Some(*two),
            (_, true) => Some(*one),
            _ => None,
        })
    }

    /// How many links each node is away from one of them, if there is a way.
    pub(super) fn distances(&self, from: usize) -> Vec<Option<usize>> {
        let mut distances = vec![None; self.nodes];
        let mut reached = vec![from];
        for distance in 0.. {
            reached.retain(|node| distances[*node].is_none());
            if reached.is_empty() {
                break;
            }
            reached.iter().for_each(|node| distances[*node] = Some(distance));
            reached = reached.iter().flat_map(|node| self.neighbours(*node)).collect();
        }
        distances
    }

    /// The first node from which the way to some other is longest.
    pub(super) fn edge(&self) -> usize {
        let reach = |node: &usize| self.distances(*node).into_iter().flatten().max();
        (0..self.nodes).rev().max_by_key(reach).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_herd_has_the_links_of_its_shape() {
        let links = |shape, nodes| Graph::of_shape(shape, nodes).links;
        assert_eq!(links(Shape::Line, 3), [(0, 1), (1, 2)]);
        assert_eq!(links(Shape::Star, 3), [(0, 1), (0, 2)]);
        assert_eq!(links(Shape::Ring, 3), [(0, 1), (1, 2), (2, 0)]);
        assert_eq!(links(Shape::Ring, 2), [(0, 1)]);
    }

    #[test]
    fn a_link_counts_once_at_whichever_end_it_is_named() {
        let text = "[herd]\nname = \"x\"\n[[node]]\nid = \"A\"\nlinks = [\"C\"]\n[[node]]\nid = \"B\"\n[[node]]\nid = \"C\"\nlinks = [\"A\", \"B\"]\n";
        let expected = Graph { nodes: 3, links: vec![(0, 2), (2, 1)] };
        assert_eq!(Graph::of_herd(text), Ok(expected));
        let unknown = Graph::of_herd("[[node]]\nid = \"A\"\nlinks = [\"Z\"]\n");
        assert_eq!(unknown, Err("there is no node \"Z\"".to_owned()));
    }

    #[test]
    fn a_node_is_as_far_away_as_the_shortest_way_is_long() {
        let line = Graph::of_shape(Shape::Line, 4);
        assert_eq!(line.distances(0), [Some(0), Some(1), Some(2), Some(3)]);
        assert_eq!(Graph::of_shape(Shape::Ring, 4).distances(1), [Some(1), Some(0), Some(1), Some(2)]);
        let apart = Graph { nodes: 3, links: vec![(0, 1)] };
        assert_eq!(apart.distances(0), [Some(0), Some(1), None]);
    }

    #[test]
    fn the_way_is_measured_from_an_edge() {
        assert_eq!(Graph::of_shape(Shape::Line, 5).edge(), 0);
        assert_eq!(Graph::of_shape(Shape::Star, 3).edge(), 1);
        assert_eq!(Graph { nodes: 4, links: vec![(1, 0), (1, 2), (2, 3)] }.edge(), 0);
    }
}
