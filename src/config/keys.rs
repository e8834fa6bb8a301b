//! The keys that are no settings: those of a herd, of a node, and the few of other tables that take more than one value to
//! check. They are read by hand, in `read`; here is which there are, and what docs/configuration.md says of them.

/// A key that is read by hand.
#[cfg_attr(not(test), expect(dead_code, reason = "a test makes the document"))]
pub(super) struct TomlKey {
    pub(super) name: &'static str,
    /// What may stand there.
    pub(super) form: &'static str,
    /// As TOML has it, or in words.
    pub(super) default: &'static str,
    pub(super) meaning: &'static str,
}

/// The file's tables.
pub(super) const TABLES: [&str; 9] =
    ["herd", "access", "places", "log", "journal", "http", "tls", "limits", "node"];

/// What stands instead of a default where a key must be given.
const REQUIRED: &str = "required";
const NONE: &str = "none";

/// The keys of `[herd]`.
#[rustfmt::skip]
pub(super) const HERD: [TomlKey; 4] = [
    TomlKey { name: "name", form: "a name in quotes", default: REQUIRED, meaning: "1 to 64 visible ASCII characters. Only nodes of one herd link up." },
    TomlKey { name: "secret_file", form: "a path in quotes", default: NONE, meaning: "The herd's secret file, as `herd secret FILE` makes it. A herd needs one as soon as an address in the file is beyond loopback." },
    TomlKey { name: "peer_tls", form: "`\"off\"`, `\"accept\"`, `\"on\"` or `\"required\"`", default: "`\"required\"` with a secret, `\"off\"` without", meaning: "Whether peers speak TLS with each other. `off` dials plain and takes plain; `accept` dials plain and takes both; `on` dials TLS and takes both; `required` takes TLS only. All but `off` need a secret. [security.md](security.md#tls-between-peers) says how a running herd moves." },
    TomlKey { name: "forget_after", form: "a time in quotes, such as `\"1h\"` or `\"30d\"`, or `\"off\"`", default: "`\"off\"`", meaning: "How long after a server took it a location is forgotten: it is not told any more, and a day later it is in no node's memory. A whole number of `s`, `m`, `h` or `d`, from an hour to 36,500 days. All nodes of a herd need the same. It moves in steps of a 64th of it, at least a minute, and clocks may differ by a quarter of it, at most a day. With `\"off\"`, locations stay." },
];

/// The keys of each `[[node]]`.
#[rustfmt::skip]
pub(super) const NODE: [TomlKey; 16] = [
    TomlKey { name: "id", form: "a name in quotes", default: REQUIRED, meaning: "1 to 64 visible ASCII characters without `/` and `:`, the first not `.` or `-`. Each node has its own. It stands in AT lines, and names the node's log file." },
    TomlKey { name: "listen", form: "`\"HOST:PORT\"`", default: REQUIRED, meaning: "Where the node listens, for clients and peers alike. Port 0 lets the system choose; only a node without links may have it." },
    TomlKey { name: "address", form: "`\"HOST:PORT\"`", default: "as `listen`", meaning: "What its neighbours and `herd send` dial, where that differs from `listen`. A node with links that listens at `0.0.0.0` or `[::]` needs it." },
    TomlKey { name: "tls_listen", form: "`\"HOST:PORT\"`", default: NONE, meaning: "Where the node takes clients that speak TLS, with the certificate of `[tls]`. They count among `connections`. Peers dial `address`." },
    TomlKey { name: "http", form: "`\"HOST:PORT\"`", default: NONE, meaning: "Where the node serves its health, status and metrics over HTTP, or over HTTPS if `[http] tls` is true." },
    TomlKey { name: "dialect", form: "`\"herd\"` or `\"plain\"`", default: "`\"herd\"`", meaning: "`\"plain\"` for a third-party node. Such a node has no `http`, no `tls_listen` and no `plain_listen`." },
    TomlKey { name: "at_fields", form: "6 or 7", default: "`7`", meaning: "Of a third-party node: how many fields the AT lines sent to it have; the seventh is the sender's id. Lines from it may have either number." },
    TomlKey { name: "at_keyword", form: "a word in quotes", default: NONE, meaning: "Of a third-party node: a word that stands before `AT` in the lines that it is sent, and may stand there in its own. 1 to 64 visible ASCII characters, not `AT`." },
    TomlKey { name: "extra_fields", form: "true or false", default: "`false`", meaning: "Of a third-party node: whether its lines may have more than seven fields. Those after the seventh are ignored." },
    TomlKey { name: "line_end", form: "`\"lf\"` or `\"crlf\"`", default: "`\"lf\"`", meaning: "Of a third-party node: how the lines sent to it end." },
    TomlKey { name: "per_connection", form: "`\"many\"` or `\"one\"`", default: "`\"many\"`", meaning: "Of a third-party node: how many lines are sent to it on one connection. With `\"one\"`, a line is followed by a half-close, and the next one goes once the node has ended the connection too; everything is told again each `round_seconds`." },
    TomlKey { name: "answer", form: "a line in quotes", default: NONE, meaning: "Of a third-party node: what each of its AT lines is answered with on `plain_listen`, for a node that waits for an answer. At most 1,024 bytes without control characters." },
    TomlKey { name: "may_report", form: "a list of patterns", default: "`[\"*\"]`", meaning: "Of a third-party node: the clients for which its lines are accepted. A pattern is a client's id, or the beginning of ids and `*`; `\\xNN` is a byte and `\\\\` a backslash. A line for any other client is refused and counted." },
    TomlKey { name: "may_see", form: "a list of patterns", default: "`[\"*\"]`", meaning: "Of a third-party node: the clients that it is told of." },
    TomlKey { name: "plain_listen", form: "`\"HOST:PORT\"`", default: NONE, meaning: "Where the node takes connections of third-party nodes. A node with such a neighbour needs it, and no other may have it." },
    TomlKey { name: "links", form: "a list of node ids", default: "`[]`", meaning: "The nodes it talks with. To name a link at one end is enough. The links must hold the herd together in one piece." },
];

/// The keys of `[places]` that say who is asked.
#[rustfmt::skip]
pub(super) const PLACES: [TomlKey; 2] = [
    TomlKey { name: "source", form: "a source's name in quotes", default: "`\"embedded\"`", meaning: "Who answers: `\"embedded\"`, the places built into the program; `\"file\"`, your own; `\"google\"` or `\"google-new\"`, Google's Nearby Search, the legacy one or the new one; `\"tweets\"`, a document of tweets; `\"none\"`, nobody: then every WHATSAT is invalid." },
    TomlKey { name: "then", form: "a source's name, or a list of them", default: "`[]`", meaning: "Sources to try, in this order, when those before them fail. Only Google can fail." },
];

/// The keys of `[http]` that are lists.
#[rustfmt::skip]
pub(super) const HTTP: [TomlKey; 2] = [
    TomlKey { name: "hosts", form: "a list of names", default: "`[]`", meaning: "Names by which a request may call the node, beside addresses, `localhost` and the names in the node's own addresses. Any other is refused, so that no web page in somebody's browser can read the node under a name of its own." },
    TomlKey { name: "origins", form: "a list of origins", default: "`[]`", meaning: "Web pages of these origins, such as `\"https://map.example\"`, may read what the node answers (CORS), and write, with a token where one is needed; `\"*\"` stands for all. Pages of other sites may do neither." },
];

/// The names of these keys.
pub(super) fn names(keys: &[TomlKey]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}
