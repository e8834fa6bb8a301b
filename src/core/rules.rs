//! The rules that keep a herd's stores alike, as values, so that the simulation can run the node's own code with one of
//! them broken and show that it notices. A node uses [`Rules::SOUND`].

/// Which rules hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Of two records of one client, the later one is kept.
    pub newest_lives: bool,
    /// Of two records with the same time, the one with the greater content is kept.
    pub ties_are_broken: bool,
    /// A tombstone is kept.
    pub tombstones_stay: bool,
    /// A location's age counts from when its server took it, not from its client's time.
    pub ages_by_server: bool,
    /// A tombstone's age counts from its generation, not from its time.
    pub tombstones_age_by_generation: bool,
    /// A tombstone stays for longer than what it hides, by as much as clocks may differ.
    pub tombstones_outlast: bool,
    /// The watermark never goes back.
    pub watermark_stays: bool,
    /// A node follows other nodes' watermarks only so far.
    pub watermark_is_bounded: bool,
    /// A round ends once a watermark moves.
    pub rounds_heed_watermark: bool,
    /// A forgetting outbids what other nodes may hold, not only what its own node holds.
    pub forgetting_outbids: bool,
    /// A leaf's sum is updated when an entry replaces another.
    pub sums_follow: bool,
    /// What came from a peer is not sent to it.
    pub spares_the_sender: bool,
    /// A round follows each connect.
    pub round_on_connect: bool,
    /// A round follows each mark.
    pub heeds_marks: bool,
    /// The node's own sums are read after the outbox was opened.
    pub opens_before_sums: bool,
    /// A link that is behind when its node stops runs a last round.
    pub last_round: bool,
    /// A round looks no further where the sums are equal.
    pub rests_when_equal: bool,
    /// No more of a repair is in flight than the neighbour soon accepts.
    pub repair_is_paced: bool,
    /// A neighbour counts as alive while bytes move.
    pub moving_is_living: bool,
    /// Where reports are acknowledged once they are durable, a stale one is too, once what it met is.
    pub stale_reports_wait: bool,
}

impl Rules {
    /// All of them hold.
    pub const SOUND: Self = Self {
        newest_lives: true,
        ties_are_broken: true,
        tombstones_stay: true,
        forgetting_outbids: true,
        ages_by_server: true,
        tombstones_age_by_generation: true,
        tombstones_outlast: true,
        watermark_stays: true,
        watermark_is_bounded: true,
        rounds_heed_watermark: true,
        sums_follow: true,
        spares_the_sender: true,
        round_on_connect: true,
        heeds_marks: true,
        opens_before_sums: true,
        last_round: true,
        rests_when_equal: true,
        repair_is_paced: true,
        moving_is_living: true,
        stale_reports_wait: true,
    };
}
