//! OpenStreetMap's `.osm.pbf`: nodes as they are, ways by the middle of the box around them, relations by the node that
//! labels them or by the box around their outer ways.
//!
//! Goes through the file up to five times, each time only through the blobs that can have the wanted contents. So
//! elements may come in any order, and of the nodes that are not places only those are kept, 16 bytes each, that belong
//! to a way that is one.

mod blobs;
mod nodes;
mod tags;
mod twins;

use std::{
    collections::HashMap,
    io::{Read, Seek},
};

use osmpbf::{Element, RelMemberType, Relation};

use self::{
    blobs::{Blobs, NODES, RELATIONS, WAYS},
    nodes::{Nodes, OsmPoint, dense_point, point},
};
pub(super) use self::{tags::Tags, twins::Twins};
use super::{ImportError, ImportOptions, Sink, Skip, bounds::Bounds};
use crate::places::file::{Id, PlaceEntry};

const NODE: &str = "osm:node";
const WAY: &str = "osm:way";
const RELATION: &str = "osm:relation";

/// The attribution, as HTML.
pub const ATTRIBUTION: &str =
    "© <a href=\"https://www.openstreetmap.org/copyright\">OpenStreetMap</a> contributors, ODbL";

/// Reads the whole file. `tell` is called with how many bytes have been processed, and out of how many: the file's,
/// once for each time that they are processed.
pub fn read(
    mut from: impl Read + Seek + Send,
    options: &ImportOptions<'_>,
    tell: &mut dyn FnMut(u64, u64),
    sink: &mut Sink,
) -> Result<(), ImportError> {
    let read = read_blobs(&mut from, options, tell, sink);
    read.map_err(|error| blobs::told_by_compression(&mut from, error))
}

fn read_blobs(
    from: impl Read + Seek + Send,
    options: &ImportOptions<'_>,
    tell: &mut dyn FnMut(u64, u64),
    sink: &mut Sink,
) -> Result<(), ImportError> {
    let name_key = options.lang.map(|lang| format!("name:{lang}"));
    let mut import =
        OsmImport { name_key: name_key.as_deref(), sink, nodes: Nodes::default(), ways: HashMap::new() };
    let mut blobs =
        Blobs::find(from, tell, |block| block.elements().try_for_each(|element| import.look_at(&element)))?;
    if !import.ways.is_empty() {
        blobs.plan(&[WAYS, NODES, WAYS, RELATIONS]);
        blobs
            .sweep(WAYS, |block| block.elements().try_for_each(|element| import.look_at_member(&element)))?;
    }
    import.nodes.close();
    if !import.nodes.is_empty() {
        blobs.plan(&[NODES, WAYS, RELATIONS]);
        blobs.sweep(NODES, |block| block.elements().try_for_each(|element| import.nodes.locate(&element)))?;
    }
    blobs.plan(&[WAYS, RELATIONS]);
    blobs.sweep(WAYS, |block| block.elements().try_for_each(|element| import.take_way(&element)))?;
    blobs.sweep(RELATIONS, |block| block.elements().try_for_each(|element| import.take_relation(&element)))
}

/// What is wrong with a block, or an error of the sink.
type Done = Result<(), BlockError>;

enum BlockError {
    Block(String),
    Import(ImportError),
}

impl From<ImportError> for BlockError {
    fn from(error: ImportError) -> Self {
        Self::Import(error)
    }
}

struct OsmImport<'a> {
    name_key: Option<&'a str>,
    sink: &'a mut Sink,
    nodes: Nodes,
    /// The ways that some relation's place depends on, and the boxes around them.
    ways: HashMap<i64, Bounds>,
}

impl OsmImport<'_> {
    /// The first pass: accepts the nodes that are places, and notes what ways and relations need.
    fn look_at(&mut self, element: &Element<'_>) -> Done {
        match element {
            Element::Node(node) => {
                let point = point(node.nano_lat(), node.nano_lon());
                self.take_node(node.id(), node.tags(), point)
            }
            Element::DenseNode(node) => self.take_node(node.id(), node.tags(), dense_point(node)),
            Element::Way(way) => {
                let tags = self.read_tags(way.tags())?;
                if is_place(&tags) {
                    self.nodes.need_those_of(way);
                }
                Ok(())
            }
            Element::Relation(relation) => {
                let tags = self.read_tags(relation.tags())?;
                if is_place(&tags) {
                    for member in RelationShape::of(relation)?.members {
                        match member {
                            Member::Node(id) => self.nodes.need(id),
                            Member::Way(id) => _ = self.ways.insert(id, Bounds::NONE),
                        }
                    }
                }
                Ok(())
            }
        }
    }

    fn look_at_member(&mut self, element: &Element<'_>) -> Done {
        if let Element::Way(way) = element
            && self.ways.contains_key(&way.id())
        {
            self.nodes.need_those_of(way);
        }
        Ok(())
    }

    fn take_way(&mut self, element: &Element<'_>) -> Done {
        let Element::Way(way) = element else { return Ok(()) };
        let tags = self.read_tags(way.tags())?;
        let is_member = self.ways.contains_key(&way.id());
        let bounds = if is_place(&tags) || is_member { self.nodes.around(way) } else { Bounds::NONE };
        if is_member {
            self.ways.insert(way.id(), bounds);
        }
        self.take_by_box(WAY, way.id(), &tags, &bounds, &[])
    }

    fn take_relation(&mut self, element: &Element<'_>) -> Done {
        let Element::Relation(relation) = element else { return Ok(()) };
        let tags = self.read_tags(relation.tags())?;
        let (mut bounds, mut labels) = (Bounds::NONE, vec![]);
        if is_place(&tags) {
            let shape = RelationShape::of(relation)?;
            for member in shape.members {
                match member {
                    Member::Node(id) => self.nodes.add_to(&mut bounds, id),
                    Member::Way(id) => bounds.join(self.ways.get(&id).unwrap_or(&Bounds::NONE)),
                }
            }
            labels = shape.labels;
        }
        self.take_by_box(RELATION, relation.id(), &tags, &bounds, &labels)
    }

    fn read_tags<'t>(
        &self,
        tags: impl ExactSizeIterator<Item = (&'t str, &'t str)>,
    ) -> Result<Option<Tags<'t>>, BlockError> {
        let claimed = tags.len();
        let mut read = Tags::default();
        let mut count = 0;
        for (key, value) in tags {
            read.add(key, value, self.name_key);
            count += 1;
        }
        // The iterator ends at a text that it cannot decode.
        if count < claimed {
            return Err(BlockError::Block("a tag's text is missing or not UTF-8".to_owned()));
        }
        Ok((count > 0).then_some(read))
    }

    fn take_node<'t>(
        &mut self,
        id: i64,
        tags: impl ExactSizeIterator<Item = (&'t str, &'t str)>,
        point: Option<OsmPoint>,
    ) -> Done {
        let Some(tags) = self.read_tags(tags)? else { return Ok(()) };
        let mut bounds = Bounds::NONE;
        if let Some((latitude, longitude)) = point {
            bounds.add(latitude, longitude);
        } else if is_place(&Some(tags)) {
            self.sink.skip(Skip::BadCoordinates, None);
            return Ok(());
        }
        self.take_by_box(NODE, id, &Some(tags), &bounds, &[])
    }

    /// Accepts an element at the middle of the box around it; `labels` are the nodes that label it.
    fn take_by_box(
        &mut self,
        source: &str,
        id: i64,
        tags: &Option<Tags<'_>>,
        bounds: &Bounds,
        labels: &[i64],
    ) -> Done {
        let Some(tags) = tags else { return Ok(()) };
        let Some((types, rank)) = tags.kind() else {
            self.sink.skip(Skip::NoKind, None);
            return Ok(());
        };
        if tags.name().is_empty() {
            self.sink.skip(Skip::NoName, None);
            return Ok(());
        }
        let Some((latitude, longitude)) = bounds.middle() else {
            self.sink.skip(Skip::NoPoints, None);
            return Ok(());
        };
        let kind = self.sink.kind(source, types)?;
        // Negative ids belong to elements that nobody has uploaded yet.
        let text = id.to_string();
        let id = u64::try_from(id).map_or(Id::Text(&text), Id::Number);
        let vicinity = tags.vicinity();
        let entry =
            PlaceEntry { kind, id, name: tags.name(), vicinity: &vicinity, latitude, longitude, rank };
        let number = self.sink.builder.count();
        if self.sink.add(&entry, None)? {
            match source {
                NODE => self.sink.twins.note_node(number, tags.wikidata()),
                _ => self.sink.twins.note_area(number, tags.wikidata(), bounds, labels),
            }
        }
        Ok(())
    }
}

fn is_place(tags: &Option<Tags<'_>>) -> bool {
    tags.is_some_and(|tags| tags.kind().is_some() && !tags.name().is_empty())
}

enum Member {
    Node(i64),
    Way(i64),
}

/// The members that say where a relation is: the node that labels it; or its outer ways; or, without any, its nodes.
struct RelationShape {
    members: Vec<Member>,
    labels: Vec<i64>,
}

impl RelationShape {
    fn of(relation: &Relation<'_>) -> Result<Self, BlockError> {
        let (mut labels, mut centres, mut ways, mut nodes) = (vec![], vec![], vec![], vec![]);
        for member in relation.members() {
            let role = member.role().map_err(|error| BlockError::Block(error.to_string()))?;
            let id = member.member_id;
            match (member.member_type, role) {
                (RelMemberType::Node, "label") => labels.push(id),
                (RelMemberType::Node, "admin_centre") => centres.push(Member::Node(id)),
                (RelMemberType::Node, _) => nodes.push(Member::Node(id)),
                (RelMemberType::Way, "outer" | "") => ways.push(Member::Way(id)),
                _ => {}
            }
        }
        let named = labels.clone();
        let labels = labels.into_iter().map(Member::Node).collect();
        let members = [labels, centres, ways, nodes].into_iter().find(|members| !members.is_empty());
        Ok(Self { members: members.unwrap_or_default(), labels: named })
    }
}

#[cfg(test)]
mod tests;
