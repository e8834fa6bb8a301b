//! The rules that keep a herd's stores alike, as values, so that the simulation can run the node's own code with one of
//! them broken and be seen to notice. A node lives by [`Rules::SOUND`].

/// Which rules hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Of two locations of one client the later one lives.
    pub newest_lives: bool,
    /// Of two locations of one time, the one with the greater content lives.
    pub ties_are_broken: bool,
    /// A leaf's sum follows each entry that takes the place of another.
    pub sums_follow: bool,
    /// What a peer has told is not told to it.
    pub spares_the_sender: bool,
    /// A round follows each connect.
    pub round_on_connect: bool,
    /// A round follows each mark.
    pub heeds_marks: bool,
    /// The own sums are read after the outbox was opened.
    pub opens_before_sums: bool,
    /// A link that is behind when its node stops runs a last round.
    pub last_round: bool,
    /// A round looks no further where the sums are equal.
    pub rests_when_equal: bool,
    /// No more of a repair is under way than the neighbour soon takes.
    pub repair_is_paced: bool,
    /// A neighbour lives as long as bytes move.
    pub moving_is_living: bool,
}

impl Rules {
    /// All of them.
    pub const SOUND: Self = Self {
        newest_lives: true,
        ties_are_broken: true,
        sums_follow: true,
        spares_the_sender: true,
        round_on_connect: true,
        heeds_marks: true,
        opens_before_sums: true,
        last_round: true,
        rests_when_equal: true,
        repair_is_paced: true,
        moving_is_living: true,
    };
}
