//! Writes `.osm.pbf` as OpenStreetMap's wiki describes it: just enough for extracts of a few kinds of elements, in dense
//! nodes, and blobs that are raw or zlib's.

/// Key and value.
pub(crate) type Tags = Vec<(String, String)>;

pub(crate) fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(crate) struct Node {
    pub(crate) id: i64,
    /// In ten-millionths of a degree.
    pub(crate) latitude: i64,
    pub(crate) longitude: i64,
    pub(crate) tags: Tags,
}

impl Node {
    pub(crate) fn new(id: i64, latitude: f64, longitude: f64, pairs: &[(&str, &str)]) -> Self {
        let units = |degrees: f64| (degrees * 1e7).round() as i64;
        Self { id, latitude: units(latitude), longitude: units(longitude), tags: tags(pairs) }
    }
}

pub(crate) struct Way {
    pub(crate) id: i64,
    pub(crate) nodes: Vec<i64>,
    pub(crate) tags: Tags,
}

pub(crate) struct Relation {
    pub(crate) id: i64,
    /// What it is (0 node, 1 way, 2 relation), its id, its role.
    pub(crate) members: Vec<(u64, i64, &'static str)>,
    pub(crate) tags: Tags,
}

/// A varint.
fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn number(field: u64, value: u64, out: &mut Vec<u8>) {
    varint(field << 3, out);
    varint(value, out);
}

fn bytes(field: u64, value: &[u8], out: &mut Vec<u8>) {
    varint(field << 3 | 2, out);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

fn packed(field: u64, values: impl IntoIterator<Item = u64>, out: &mut Vec<u8>) {
    let mut inner = Vec::new();
    values.into_iter().for_each(|value| varint(value, &mut inner));
    bytes(field, &inner, out);
}

fn deltas(values: impl IntoIterator<Item = i64>) -> impl Iterator<Item = u64> {
    let mut last = 0;
    values.into_iter().map(move |value| zigzag(value - std::mem::replace(&mut last, value)))
}

/// zlib's form, without any compression.
fn zlib(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let pieces = data.chunks(0xffff).count().max(1);
    for at in 0..pieces {
        let piece = data.chunks(0xffff).nth(at).unwrap_or_default();
        out.push(u8::from(at + 1 == pieces));
        out.extend((piece.len() as u16).to_le_bytes());
        out.extend((!(piece.len() as u16)).to_le_bytes());
        out.extend(piece);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend((b << 16 | a).to_be_bytes());
    out
}

/// One blob with its header and the length of that.
pub(crate) fn blob(kind: &str, data: &[u8], is_raw: bool) -> Vec<u8> {
    let mut body = Vec::new();
    if is_raw {
        bytes(1, data, &mut body);
    } else {
        number(2, data.len() as u64, &mut body);
        bytes(3, &zlib(data), &mut body);
    }
    framed(kind, &body)
}

/// A blob whose data is in the field of another compression: 4 lzma, 5 bzip2, 6 lz4, 7 zstd.
pub(crate) fn blob_of_field(kind: &str, field: u64, data: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    number(2, 300, &mut body);
    bytes(field, data, &mut body);
    framed(kind, &body)
}

fn framed(kind: &str, body: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    bytes(1, kind.as_bytes(), &mut header);
    number(3, body.len() as u64, &mut header);
    let mut out = (header.len() as u32).to_be_bytes().to_vec();
    out.extend(header);
    out.extend(body);
    out
}

/// The first blob, with what a reader must understand.
pub(crate) fn header(features: &[&str]) -> Vec<u8> {
    let mut block = Vec::new();
    features.iter().for_each(|feature| bytes(4, feature.as_bytes(), &mut block));
    blob("OSMHeader", &block, true)
}

/// The texts of a block, the empty one first.
#[derive(Default)]
struct Strings {
    all: Vec<Vec<u8>>,
    known: std::collections::HashMap<String, u64>,
}

impl Strings {
    fn of(&mut self, text: &str) -> u64 {
        if self.all.is_empty() {
            self.all.push(Vec::new());
        }
        *self.known.entry(text.to_owned()).or_insert_with(|| {
            self.all.push(text.as_bytes().to_vec());
            self.all.len() as u64 - 1
        })
    }

    fn block(mut self, group: &[u8]) -> Vec<u8> {
        self.of("");
        let (mut table, mut out) = (Vec::new(), Vec::new());
        self.all.iter().for_each(|text| bytes(1, text, &mut table));
        bytes(1, &table, &mut out);
        bytes(2, group, &mut out);
        out
    }
}

pub(crate) fn nodes(nodes: &[Node]) -> Vec<u8> {
    let (mut strings, mut dense, mut keys_values) = (Strings::default(), Vec::new(), Vec::new());
    for node in nodes {
        for (key, value) in &node.tags {
            keys_values.extend([strings.of(key), strings.of(value)]);
        }
        keys_values.push(0);
    }
    packed(1, deltas(nodes.iter().map(|node| node.id)), &mut dense);
    packed(8, deltas(nodes.iter().map(|node| node.latitude)), &mut dense);
    packed(9, deltas(nodes.iter().map(|node| node.longitude)), &mut dense);
    packed(10, keys_values, &mut dense);
    let mut group = Vec::new();
    bytes(2, &dense, &mut group);
    strings.block(&group)
}

fn add_tags(tags: &Tags, strings: &mut Strings, out: &mut Vec<u8>) {
    let keys: Vec<_> = tags.iter().map(|(key, _)| strings.of(key)).collect();
    let values: Vec<_> = tags.iter().map(|(_, value)| strings.of(value)).collect();
    packed(2, keys, out);
    packed(3, values, out);
}

pub(crate) fn ways(ways: &[Way]) -> Vec<u8> {
    let (mut strings, mut group) = (Strings::default(), Vec::new());
    for way in ways {
        let mut out = Vec::new();
        number(1, way.id as u64, &mut out);
        add_tags(&way.tags, &mut strings, &mut out);
        packed(8, deltas(way.nodes.iter().copied()), &mut out);
        bytes(3, &out, &mut group);
    }
    strings.block(&group)
}

pub(crate) fn relations(relations: &[Relation]) -> Vec<u8> {
    let (mut strings, mut group) = (Strings::default(), Vec::new());
    for relation in relations {
        let mut out = Vec::new();
        number(1, relation.id as u64, &mut out);
        add_tags(&relation.tags, &mut strings, &mut out);
        let roles: Vec<_> = relation.members.iter().map(|(_, _, role)| strings.of(role)).collect();
        packed(8, roles, &mut out);
        packed(9, deltas(relation.members.iter().map(|(_, id, _)| *id)), &mut out);
        packed(10, relation.members.iter().map(|(kind, _, _)| *kind), &mut out);
        bytes(4, &out, &mut group);
    }
    strings.block(&group)
}

/// A whole extract: a town with a café, a museum that is a way, a park that is a relation of two ways, and more.
pub(crate) fn town() -> Vec<u8> {
    let plain = |id, latitude, longitude| Node::new(id, latitude, longitude, &[]);
    let cafe = [
        ("amenity", "cafe"),
        ("name", "Café Nord"),
        ("name:en", "North Café"),
        ("addr:street", "Ring"),
        ("addr:housenumber", "1"),
        ("addr:city", "Kleinstadt"),
    ];
    let all_nodes = [
        Node::new(5_000_000_001, 10.0, 20.0, &cafe),
        Node::new(5_000_000_002, 10.001, 20.001, &[("amenity", "bench"), ("name", "A bench")]),
        Node::new(5_000_000_003, 10.002, 20.002, &[("shop", "books")]),
        Node::new(
            5_000_000_004,
            10.003,
            20.003,
            &[("place", "town"), ("name", "Kleinstadt"), ("population", "9999")],
        ),
        plain(11, 10.01, 20.01),
        plain(12, 10.01, 20.03),
        plain(13, 10.03, 20.03),
        plain(14, 10.03, 20.01),
        plain(21, 10.05, 20.0),
        plain(22, 10.05, 20.04),
        plain(23, 10.09, 20.04),
    ];
    let all_ways = [
        Way {
            id: 1,
            nodes: vec![11, 12, 13, 14, 11],
            tags: tags(&[("tourism", "museum"), ("name", "Museum")]),
        },
        Way { id: 2, nodes: vec![21, 22], tags: vec![] },
        Way { id: 3, nodes: vec![22, 23], tags: vec![] },
        Way { id: 4, nodes: vec![98, 99], tags: tags(&[("leisure", "stadium"), ("name", "Elsewhere")]) },
        Way { id: 5, nodes: vec![11, 12], tags: tags(&[("highway", "residential"), ("name", "Ring")]) },
    ];
    let park = tags(&[("type", "multipolygon"), ("leisure", "park"), ("name", "Park")]);
    let suburb = tags(&[("type", "boundary"), ("place", "suburb"), ("name", "Nordend")]);
    let all_relations = [
        Relation { id: 1, members: vec![(1, 2, "outer"), (1, 3, "outer"), (1, 1, "inner")], tags: park },
        Relation { id: 2, members: vec![(1, 2, "outer"), (0, 13, "label")], tags: suburb },
    ];
    let mut out = header(&["OsmSchema-V0.6", "DenseNodes"]);
    out.extend(blob("OSMData", &nodes(&all_nodes), false));
    out.extend(blob("OSMData", &ways(&all_ways), true));
    out.extend(blob("OSMData", &relations(&all_relations), false));
    out
}
