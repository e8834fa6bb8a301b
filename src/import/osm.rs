//! OpenStreetMap's `.osm.pbf`: nodes as they are, ways by the middle of the box around them, relations by the node that
//! labels them or by the box around their outer ways.
//!
//! Goes over the file up to five times, each time only over the blobs that can have what is wanted: so elements may come
//! in any order, and of all the nodes that are no place only those are kept, 16 bytes each, which some way that is one
//! goes through.

use std::{
    collections::HashMap,
    io::{self, BufReader, Read, Seek, SeekFrom},
    panic::{AssertUnwindSafe, catch_unwind},
};

use osmpbf::{
    BlobDecode, BlobReader, ByteOffset, DenseNode, Element, PrimitiveBlock, RelMemberType, Relation, Way,
};

use super::{ImportError, Options, Sink, Skip, bounds::Bounds, osm_tags::Tags};
use crate::places::file::{Entry, Id};

/// Who must be named, as HTML.
pub const ATTRIBUTION: &str =
    "© <a href=\"https://www.openstreetmap.org/copyright\">OpenStreetMap</a> contributors, ODbL";

/// What a reader must understand to read a file; this one does.
const FEATURES: [&str; 4] = ["OsmSchema-V0.6", "DenseNodes", "LocationsOnWays", "Sort.Type_then_ID"];

const NODES: u8 = 1;
const WAYS: u8 = 2;
const RELATIONS: u8 = 4;

/// Reads the whole file.
pub fn read(
    from: impl Read + Seek + Send,
    options: &Options<'_>,
    sink: &mut Sink,
) -> Result<(), ImportError> {
    let name_key = options.lang.map(|lang| format!("name:{lang}"));
    let mut import =
        Import { name_key: name_key.as_deref(), sink, nodes: Nodes::default(), ways: HashMap::new() };
    let mut blobs =
        Blobs::find(from, |block| block.elements().try_for_each(|element| import.look_at(&element)))?;
    if !import.ways.is_empty() {
        blobs
            .sweep(WAYS, |block| block.elements().try_for_each(|element| import.look_at_member(&element)))?;
    }
    import.nodes.close();
    if !import.nodes.ids.is_empty() {
        blobs.sweep(NODES, |block| block.elements().try_for_each(|element| import.nodes.locate(&element)))?;
    }
    blobs.sweep(WAYS, |block| block.elements().try_for_each(|element| import.take_way(&element)))?;
    blobs.sweep(RELATIONS, |block| block.elements().try_for_each(|element| import.take_relation(&element)))
}

/// What a block has done wrong, or an error of the sink.
type Done = Result<(), Fault>;

enum Fault {
    Block(String),
    Import(ImportError),
}

impl From<ImportError> for Fault {
    fn from(error: ImportError) -> Self {
        Self::Import(error)
    }
}

struct Import<'a> {
    name_key: Option<&'a str>,
    sink: &'a mut Sink,
    nodes: Nodes,
    /// The ways that some relation's place depends on, and the boxes around them.
    ways: HashMap<i64, Bounds>,
}

/// Where an element is, in ten-millionths of a degree.
type Point = (i32, i32);

impl Import<'_> {
    /// The first time: takes the nodes that are places, and notes what ways and relations need.
    fn look_at(&mut self, element: &Element<'_>) -> Done {
        match element {
            Element::Node(node) => {
                let point = point(node.nano_lat(), node.nano_lon());
                self.take("osm:node", node.id(), node.tags(), point)
            }
            Element::DenseNode(node) => self.take("osm:node", node.id(), node.tags(), dense_point(node)),
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
                    for member in Shape::of(relation)?.members {
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
        self.take_by_box("osm:way", way.id(), &tags, &bounds)
    }

    fn take_relation(&mut self, element: &Element<'_>) -> Done {
        let Element::Relation(relation) = element else { return Ok(()) };
        let tags = self.read_tags(relation.tags())?;
        let mut bounds = Bounds::NONE;
        if is_place(&tags) {
            for member in Shape::of(relation)?.members {
                match member {
                    Member::Node(id) => self.nodes.add_to(&mut bounds, id),
                    Member::Way(id) => bounds.join(self.ways.get(&id).unwrap_or(&Bounds::NONE)),
                }
            }
        }
        self.take_by_box("osm:relation", relation.id(), &tags, &bounds)
    }

    fn read_tags<'t>(
        &self,
        tags: impl ExactSizeIterator<Item = (&'t str, &'t str)>,
    ) -> Result<Option<Tags<'t>>, Fault> {
        let claimed = tags.len();
        let mut read = Tags::default();
        let mut count = 0;
        for (key, value) in tags {
            read.add(key, value, self.name_key);
            count += 1;
        }
        // The iterator ends at a text that it cannot give.
        if count < claimed {
            return Err(Fault::Block("a tag's text is missing or not UTF-8".to_owned()));
        }
        Ok((count > 0).then_some(read))
    }

    fn take<'t>(
        &mut self,
        source: &str,
        id: i64,
        tags: impl ExactSizeIterator<Item = (&'t str, &'t str)>,
        point: Option<Point>,
    ) -> Done {
        let Some(tags) = self.read_tags(tags)? else { return Ok(()) };
        let mut bounds = Bounds::NONE;
        if let Some((latitude, longitude)) = point {
            bounds.add(latitude, longitude);
        } else if is_place(&Some(tags)) {
            self.sink.skip(Skip::BadCoordinates);
            return Ok(());
        }
        self.take_by_box(source, id, &Some(tags), &bounds)
    }

    fn take_by_box(&mut self, source: &str, id: i64, tags: &Option<Tags<'_>>, bounds: &Bounds) -> Done {
        let Some(tags) = tags else { return Ok(()) };
        let Some((types, rank)) = tags.kind() else {
            self.sink.skip(Skip::NoKind);
            return Ok(());
        };
        if tags.name().is_empty() {
            self.sink.skip(Skip::NoName);
            return Ok(());
        }
        let Some((latitude, longitude)) = bounds.middle() else {
            self.sink.skip(Skip::NoPoints);
            return Ok(());
        };
        let kind = self.sink.kind(source, types)?;
        // Ids below zero are those of elements that nobody has uploaded yet.
        let text = id.to_string();
        let id = u64::try_from(id).map_or(Id::Text(&text), Id::Number);
        let vicinity = tags.vicinity();
        let entry = Entry { kind, id, name: tags.name(), vicinity: &vicinity, latitude, longitude, rank };
        Ok(self.sink.add(&entry)?)
    }
}

fn is_place(tags: &Option<Tags<'_>>) -> bool {
    tags.is_some_and(|tags| tags.kind().is_some() && !tags.name().is_empty())
}

fn point(nano_latitude: i64, nano_longitude: i64) -> Option<Point> {
    let within = |nano: i64, bound: i64| (-bound..=bound).contains(&nano).then_some((nano / 100) as i32);
    Some((within(nano_latitude, 90_000_000_000)?, within(nano_longitude, 180_000_000_000)?))
}

fn dense_point(node: &DenseNode<'_>) -> Option<Point> {
    point(node.nano_lat(), node.nano_lon())
}

/// The nodes that places depend on: their ids in order, and where they are.
#[derive(Default)]
struct Nodes {
    ids: Vec<i64>,
    points: Vec<Point>,
    /// So many ids are in order, and there once.
    sorted: usize,
}

const NOWHERE: Point = (i32::MAX, i32::MAX);

impl Nodes {
    fn need(&mut self, id: i64) {
        self.ids.push(id);
        // Neighbouring ways share nodes: forgetting them now and then keeps the list near its final length.
        if self.ids.len() >= 2 * self.sorted.max(1 << 20) {
            self.sort();
        }
    }

    fn need_those_of(&mut self, way: &Way<'_>) {
        if way.node_locations().len() == 0 {
            way.refs().for_each(|id| self.need(id));
        }
    }

    fn sort(&mut self) {
        self.ids.sort_unstable();
        self.ids.dedup();
        self.sorted = self.ids.len();
    }

    fn close(&mut self) {
        self.sort();
        self.ids.shrink_to_fit();
        self.points = vec![NOWHERE; self.ids.len()];
    }

    fn locate(&mut self, element: &Element<'_>) -> Done {
        let (id, point) = match element {
            Element::Node(node) => (node.id(), point(node.nano_lat(), node.nano_lon())),
            Element::DenseNode(node) => (node.id(), dense_point(node)),
            Element::Way(_) | Element::Relation(_) => return Ok(()),
        };
        if let (Ok(at), Some(point)) = (self.ids.binary_search(&id), point) {
            self.points[at] = point;
        }
        Ok(())
    }

    fn add_to(&self, bounds: &mut Bounds, id: i64) {
        let found = self.ids.binary_search(&id).ok().map(|at| self.points[at]);
        if let Some((latitude, longitude)) = found.filter(|point| *point != NOWHERE) {
            bounds.add(latitude, longitude);
        }
    }

    fn around(&self, way: &Way<'_>) -> Bounds {
        let mut bounds = Bounds::NONE;
        way.refs().for_each(|id| self.add_to(&mut bounds, id));
        let located = way.node_locations().filter_map(|node| point(node.nano_lat(), node.nano_lon()));
        located.for_each(|(latitude, longitude)| bounds.add(latitude, longitude));
        bounds
    }
}

enum Member {
    Node(i64),
    Way(i64),
}

/// The members that say where a relation is: the node that labels it; or its outer ways; or, without any, its nodes.
struct Shape {
    members: Vec<Member>,
}

impl Shape {
    fn of(relation: &Relation<'_>) -> Result<Self, Fault> {
        let (mut labels, mut centres, mut ways, mut nodes) = (vec![], vec![], vec![], vec![]);
        for member in relation.members() {
            let role = member.role().map_err(|error| Fault::Block(error.to_string()))?;
            let id = member.member_id;
            match (member.member_type, role) {
                (RelMemberType::Node, "label") => labels.push(Member::Node(id)),
                (RelMemberType::Node, "admin_centre") => centres.push(Member::Node(id)),
                (RelMemberType::Node, _) => nodes.push(Member::Node(id)),
                (RelMemberType::Way, "outer" | "") => ways.push(Member::Way(id)),
                _ => {}
            }
        }
        let members = [labels, centres, ways, nodes].into_iter().find(|members| !members.is_empty());
        Ok(Self { members: members.unwrap_or_default() })
    }
}

/// The blobs of a file: where each begins, and what is in it.
struct Blobs<R: Read + Seek + Send> {
    reader: BlobReader<Near<R>>,
    found: Vec<(u64, u8)>,
}

impl<R: Read + Seek + Send> Blobs<R> {
    /// Goes over the whole file for the first time.
    fn find(mut from: R, mut each: impl FnMut(&PrimitiveBlock) -> Done) -> Result<Self, ImportError> {
        let length = from.seek(SeekFrom::End(0))?;
        from.rewind()?;
        let near = Near(BufReader::with_capacity(256 * 1024, from));
        let mut blobs = Self {
            reader: BlobReader::new_seekable(near).map_err(|error| broken(0, &error))?,
            found: Vec::new(),
        };
        let mut offset = 0;
        while let Some(blob) = blobs.reader.next() {
            let blob = blob.map_err(|error| broken(offset, &error))?;
            match blob.decode().map_err(|error| broken(offset, &error))? {
                BlobDecode::OsmHeader(header) => check_features(offset, header.required_features())?,
                BlobDecode::OsmData(_) if offset == 0 => break,
                BlobDecode::OsmData(block) => {
                    guarded(offset, &block, &mut each)?;
                    blobs.found.push((offset, what_is_in(&block)));
                }
                BlobDecode::Unknown(_) => {}
            }
            offset = blobs.reader.seek_raw(SeekFrom::Current(0)).map_err(|error| broken(offset, &error))?;
        }
        if offset == 0 {
            let fault = "this is no .osm.pbf; name the format with --format".to_owned();
            return Err(ImportError::Offset { offset, fault });
        }
        if offset < length {
            return Err(broken(offset, &"it ends in the middle of a blob"));
        }
        Ok(blobs)
    }

    /// Goes over the blobs that have some of this in them.
    fn sweep(&mut self, what: u8, mut each: impl FnMut(&PrimitiveBlock) -> Done) -> Result<(), ImportError> {
        for &(offset, _) in self.found.iter().filter(|(_, has)| has & what != 0) {
            let blob =
                self.reader.blob_from_offset(ByteOffset(offset)).map_err(|error| broken(offset, &error))?;
            let block = blob.to_primitiveblock().map_err(|error| broken(offset, &error))?;
            guarded(offset, &block, &mut each)?;
        }
        Ok(())
    }
}

/// The library panics where a block holds numbers that no writer writes: that is a broken file, too.
fn guarded(
    offset: u64,
    block: &PrimitiveBlock,
    each: &mut impl FnMut(&PrimitiveBlock) -> Done,
) -> Result<(), ImportError> {
    match catch_unwind(AssertUnwindSafe(|| each(block))) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Fault::Import(error))) => Err(error),
        Ok(Err(Fault::Block(fault))) => Err(broken(offset, &fault)),
        Err(_) => Err(broken(offset, &"its numbers are out of bounds")),
    }
}

fn what_is_in(block: &PrimitiveBlock) -> u8 {
    let of_group = block.groups().map(|group| {
        let has_nodes = group.nodes().len() > 0 || group.dense_nodes().len() > 0;
        let has =
            [(has_nodes, NODES), (group.ways().len() > 0, WAYS), (group.relations().len() > 0, RELATIONS)];
        has.into_iter().filter(|(has, _)| *has).map(|(_, what)| what).sum::<u8>()
    });
    of_group.fold(0, |all, group| all | group)
}

fn check_features(offset: u64, features: &[String]) -> Result<(), ImportError> {
    match features.iter().find(|feature| !FEATURES.contains(&feature.as_str())) {
        None => Ok(()),
        Some(history) if history == "HistoricalInformation" => {
            let fault = "this is a history; make an extract of one moment first".to_owned();
            Err(ImportError::Offset { offset, fault })
        }
        Some(feature) => {
            let fault =
                format!("this asks for {feature:?}, which herd cannot read; convert it with another program");
            Err(ImportError::Offset { offset, fault })
        }
    }
}

fn broken(offset: u64, why: &dyn std::fmt::Display) -> ImportError {
    ImportError::Offset { offset, fault: format!("the blob there is broken: {why}; fetch the file again") }
}

/// A buffered reader that keeps what it has in its buffer when it is asked to go where it nearly is.
struct Near<R>(BufReader<R>);

impl<R: Read> Read for Near<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl<R: Read + Seek> Seek for Near<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let here = self.0.stream_position()?;
        match to {
            SeekFrom::Start(there) => {
                self.0.seek_relative(there.wrapping_sub(here).cast_signed())?;
                Ok(there)
            }
            SeekFrom::Current(0) => Ok(here),
            elsewhere => self.0.seek(elsewhere),
        }
    }
}
