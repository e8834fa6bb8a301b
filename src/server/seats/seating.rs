//! Decides who gets which seat, and who must go for it: pure. Connections are numbers, and where they come from is an
//! [`Origin`].

use std::{collections::HashMap, net::IpAddr};

/// Connections that are counted together: those of one IPv4 address, or of one IPv6 network of 64 bits, all of whose
/// addresses may belong to one machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Origin {
    network: IpAddr,
}

impl Origin {
    pub(crate) fn of(ip: IpAddr) -> Self {
        let network = match ip.to_canonical() {
            // IPv6 has a single loopback address, which stands for this machine itself.
            IpAddr::V6(ip) if !ip.is_loopback() => {
                let [first, second, third, fourth, ..] = ip.segments();
                IpAddr::from([first, second, third, fourth, 0, 0, 0, 0])
            }
            ip => ip,
        };
        Self { network }
    }

    /// Whether it is this machine.
    pub(crate) fn is_loopback(self) -> bool {
        self.network.is_loopback()
    }
}

/// How many seats there are of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SeatBounds {
    /// For anyone.
    pub(crate) common: usize,
    /// Additional ones, for connections that prove to be peers'.
    pub(crate) kept: usize,
    /// Common ones that one origin may have.
    pub(crate) of_origin: usize,
    /// Whether that applies to this machine's own programs, too.
    pub(crate) caps_loopback: bool,
    /// For each third-party neighbour.
    pub(crate) plain: usize,
}

/// The kind of seat that a connection has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SeatKind {
    /// One for anyone.
    Common,
    /// One kept for peers, which a handshake earns; until then it may be taken back.
    Kept,
    /// A third-party neighbour's.
    Plain,
}

/// A connection that has a seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sitter {
    pub(super) number: u64,
    pub(super) origin: Origin,
    pub(super) kind: SeatKind,
    pub(super) is_peer: bool,
}

/// Why there is no seat now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoSeat {
    /// All are taken by connections that may keep theirs.
    Full,
    /// This connection has been told to end, to free its seat.
    Evict(u64),
    /// One that was told to end has not ended yet.
    Leaving,
}

/// All seats, and which connections must go first.
#[derive(Debug)]
pub(super) struct Seating {
    bounds: SeatBounds,
    /// How many of each are taken.
    common: usize,
    kept: usize,
    /// How many of the seated connections are neighbours'.
    peers: usize,
    of_origin: HashMap<Origin, usize>,
    /// Those in kept seats that have not proved to be peers', oldest first.
    unproven: Vec<Movable>,
    /// Those of third-party neighbours, oldest first.
    plain: Vec<Movable>,
}

/// A connection that may have to give its seat up.
#[derive(Clone, Copy, Debug)]
struct Movable {
    number: u64,
    origin: Origin,
    is_evicted: bool,
}

impl Seating {
    pub(super) fn new(bounds: SeatBounds) -> Self {
        let (common, kept, peers, of_origin) = (0, 0, 0, HashMap::new());
        Self { bounds, common, kept, peers, of_origin, unproven: Vec::new(), plain: Vec::new() }
    }

    pub(super) fn bounds(&self) -> &SeatBounds {
        &self.bounds
    }

    /// Gives a connection a common seat, or a kept one when the common ones are taken, whether by everyone or by its
    /// own origin. If those are taken too, a connection that has not proved to be a peer's must go: the oldest of the
    /// origin that has most of them, so that a single address never keeps a peer out.
    pub(super) fn sit(&mut self, number: u64, origin: Origin) -> Result<Sitter, NoSeat> {
        let kind = if self.common < self.bounds.common && !self.is_capped(origin) {
            self.common += 1;
            *self.of_origin.entry(origin).or_default() += 1;
            SeatKind::Common
        } else if self.kept < self.bounds.kept {
            self.kept += 1;
            self.unproven.push(Movable { number, origin, is_evicted: false });
            SeatKind::Kept
        } else {
            let most = self.unproven.iter().map(|one| count(&self.unproven, one.origin)).max();
            let crowd = self.unproven.iter().find(|one| Some(count(&self.unproven, one.origin)) == most);
            let crowd = crowd.map(|one| one.origin);
            return Err(evict(&mut self.unproven, |one| Some(one.origin) == crowd));
        };
        Ok(Sitter { number, origin, kind, is_peer: false })
    }

    /// Gives a connection from the address of so many third-party neighbours its seat. The oldest connection from there
    /// may have to go for it: such nodes leave connections behind, and what they have to say comes on the latest.
    pub(super) fn sit_plain(
        &mut self,
        number: u64,
        origin: Origin,
        neighbours: usize,
    ) -> Result<Sitter, NoSeat> {
        if count(&self.plain, origin) >= self.bounds.plain * neighbours {
            return Err(evict(&mut self.plain, |one| one.origin == origin));
        }
        self.peers += 1;
        self.plain.push(Movable { number, origin, is_evicted: false });
        Ok(Sitter { number, origin, kind: SeatKind::Plain, is_peer: true })
    }

    /// The connection has proved to be a peer's: the seat is now its own. It moves from a common seat to a kept one, if
    /// one is free.
    pub(super) fn prove(&mut self, sitter: &mut Sitter) {
        if std::mem::replace(&mut sitter.is_peer, true) {
            return;
        }
        self.peers += 1;
        self.unproven.retain(|one| one.number != sitter.number);
        if sitter.kind == SeatKind::Common && self.kept < self.bounds.kept {
            self.leave_common(sitter.origin);
            self.kept += 1;
            sitter.kind = SeatKind::Kept;
        }
    }

    /// The connection has ended.
    pub(super) fn leave(&mut self, sitter: &Sitter) {
        self.peers -= usize::from(sitter.is_peer);
        match sitter.kind {
            SeatKind::Common => self.leave_common(sitter.origin),
            SeatKind::Kept => {
                self.kept -= 1;
                self.unproven.retain(|one| one.number != sitter.number);
            }
            SeatKind::Plain => self.plain.retain(|one| one.number != sitter.number),
        }
    }

    /// Whether it has been told to end, to free its seat.
    #[cfg(test)]
    pub(super) fn is_evicted(&self, sitter: &Sitter) -> bool {
        let mut movable = self.unproven.iter().chain(&self.plain);
        movable.any(|one| one.number == sitter.number && one.is_evicted)
    }

    /// How many are neighbours', and how many still have to prove that they are.
    pub(super) fn peers_and_waiting(&self) -> (usize, usize) {
        (self.peers, self.unproven.len())
    }

    fn is_capped(&self, origin: Origin) -> bool {
        let taken = self.of_origin.get(&origin).copied().unwrap_or_default();
        taken >= self.bounds.of_origin && (self.bounds.caps_loopback || !origin.is_loopback())
    }

    fn leave_common(&mut self, origin: Origin) {
        self.common -= 1;
        if let Some(taken) = self.of_origin.get_mut(&origin) {
            *taken -= 1;
            if *taken == 0 {
                self.of_origin.remove(&origin);
            }
        }
    }
}

fn count(movable: &[Movable], origin: Origin) -> usize {
    movable.iter().filter(|one| one.origin == origin).count()
}

/// Chooses the oldest of these, unless one of them is leaving already.
fn evict(movable: &mut [Movable], is_one: impl Fn(&Movable) -> bool) -> NoSeat {
    let mut ones = movable.iter_mut().filter(|one| is_one(one));
    let Some(oldest) = ones.next() else { return NoSeat::Full };
    if oldest.is_evicted || ones.any(|one| one.is_evicted) {
        return NoSeat::Leaving;
    }
    oldest.is_evicted = true;
    NoSeat::Evict(oldest.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: SeatBounds =
        SeatBounds { common: 2, kept: 3, of_origin: 2, caps_loopback: false, plain: 2 };

    fn origin(last: u8) -> Origin {
        Origin::of(IpAddr::from([192, 0, 2, last]))
    }

    fn seating(common: usize, kept: usize) -> Seating {
        Seating::new(SeatBounds { common, kept, ..BOUNDS })
    }

    #[test]
    fn seats_are_common_first_then_kept_and_free_again() {
        let mut seating = seating(1, 1);
        let first = seating.sit(1, origin(1)).unwrap();
        let second = seating.sit(2, origin(2)).unwrap();
        assert_eq!((first.kind, second.kind), (SeatKind::Common, SeatKind::Kept));
        assert_eq!(seating.peers_and_waiting(), (0, 1));
        seating.leave(&first);
        seating.leave(&second);
        assert_eq!(seating.peers_and_waiting(), (0, 0));
        assert_eq!(seating.sit(3, origin(1)).map(|sitter| sitter.kind), Ok(SeatKind::Common));
        assert_eq!(seating.sit(4, origin(1)).map(|sitter| sitter.kind), Ok(SeatKind::Kept));
    }

    #[test]
    fn oldest_that_has_not_proved_to_be_a_peer_gives_its_seat_up_and_a_proven_one_never_does() {
        let mut seating = seating(0, 3);
        let mut sitters: Vec<_> = (1..=3).map(|number| seating.sit(number, origin(1)).unwrap()).collect();
        seating.prove(&mut sitters[0]);
        assert_eq!(seating.sit(4, origin(1)), Err(NoSeat::Evict(2)));
        assert!(seating.is_evicted(&sitters[1]) && !seating.is_evicted(&sitters[0]));
        assert_eq!(seating.sit(4, origin(1)), Err(NoSeat::Leaving), "one at a time");
        seating.leave(&sitters[1]);
        sitters[1] = seating.sit(4, origin(1)).unwrap();
        // A connection that proves itself after it was chosen keeps nobody waiting: the next one is chosen.
        assert_eq!(seating.sit(5, origin(1)), Err(NoSeat::Evict(3)));
        seating.prove(&mut sitters[2]);
        assert_eq!(seating.sit(5, origin(1)), Err(NoSeat::Evict(4)));
        seating.prove(&mut sitters[1]);
        assert_eq!(seating.sit(5, origin(1)), Err(NoSeat::Full));
        assert_eq!(seating.peers_and_waiting(), (3, 0));
    }

    #[test]
    fn one_address_alone_keeps_no_other_out_of_the_kept_seats() {
        let mut seating = seating(0, 3);
        let peer = seating.sit(1, origin(9)).unwrap();
        seating.sit(2, origin(1)).unwrap();
        let mut last = seating.sit(3, origin(1)).unwrap();
        for number in 4..100 {
            assert_eq!(seating.sit(number, origin(1)), Err(NoSeat::Evict(number - 2)));
            let leaving = Sitter { number: number - 2, ..last };
            seating.leave(&leaving);
            last = seating.sit(number, origin(1)).unwrap();
        }
        assert!(!seating.is_evicted(&peer));
    }

    #[test]
    fn an_address_has_as_many_common_seats_as_its_cap_and_no_more() {
        let mut seating = Seating::new(SeatBounds { common: 9, ..BOUNDS });
        let kind_of = |seating: &mut Seating, number, ip: &str| {
            seating.sit(number, Origin::of(ip.parse().unwrap())).map(|sitter| sitter.kind)
        };
        let mut number = 0..;
        // An IPv6 network counts as one address; a mapped IPv4 address counts as IPv4.
        for (ip, kind) in [
            ("192.0.2.1", SeatKind::Common),
            ("::ffff:192.0.2.1", SeatKind::Common),
            ("192.0.2.1", SeatKind::Kept),
            ("2001:db8::1", SeatKind::Common),
            ("2001:db8::ffff:0:0:2", SeatKind::Common),
            ("2001:db8::3", SeatKind::Kept),
            ("2001:db8:0:1::1", SeatKind::Common),
            ("127.0.0.1", SeatKind::Common),
            ("127.0.0.1", SeatKind::Common),
            ("127.0.0.1", SeatKind::Common),
            ("::1", SeatKind::Common),
        ] {
            assert_eq!(kind_of(&mut seating, number.next().unwrap(), ip), Ok(kind), "{ip}");
        }
        let mut seating = Seating::new(SeatBounds { common: 9, caps_loopback: true, ..BOUNDS });
        let kinds = [0, 1, 2].map(|number| kind_of(&mut seating, number, "127.0.0.1").unwrap());
        assert_eq!(kinds, [SeatKind::Common, SeatKind::Common, SeatKind::Kept]);
    }

    #[test]
    fn what_an_address_has_is_counted_down_again() {
        let mut seating = Seating::new(SeatBounds { common: 9, ..BOUNDS });
        let first = seating.sit(1, origin(1)).unwrap();
        let mut second = seating.sit(2, origin(1)).unwrap();
        seating.leave(&first);
        // A peer that moves to a kept seat leaves its common one to others.
        seating.prove(&mut second);
        assert_eq!((second.kind, seating.peers_and_waiting()), (SeatKind::Kept, (1, 0)));
        for number in [3, 4] {
            assert_eq!(seating.sit(number, origin(1)).unwrap().kind, SeatKind::Common);
        }
        assert_eq!(seating.sit(5, origin(1)).unwrap().kind, SeatKind::Kept);
        assert_eq!(seating.of_origin.len(), 1);
    }

    #[test]
    fn peer_stays_where_it_is_while_no_kept_seat_is_free() {
        let mut seating = seating(1, 0);
        let mut peer = seating.sit(1, origin(1)).unwrap();
        seating.prove(&mut peer);
        seating.prove(&mut peer);
        assert_eq!((peer.kind, seating.peers_and_waiting()), (SeatKind::Common, (1, 0)));
        assert_eq!(seating.sit(2, origin(2)), Err(NoSeat::Full));
        seating.leave(&peer);
        assert_eq!(seating.peers_and_waiting(), (0, 0));
        assert!(seating.sit(2, origin(2)).is_ok());
    }

    #[test]
    fn third_party_neighbours_have_seats_of_their_own_and_the_oldest_connection_makes_room() {
        let mut seating = seating(0, 0);
        let of_two: Vec<_> = (1..=4).map(|number| seating.sit_plain(number, origin(1), 2).unwrap()).collect();
        let other = seating.sit_plain(5, origin(2), 1).unwrap();
        assert_eq!(seating.peers_and_waiting(), (5, 0));
        assert_eq!(seating.sit_plain(6, origin(1), 2), Err(NoSeat::Evict(1)));
        assert_eq!(seating.sit_plain(6, origin(1), 2), Err(NoSeat::Leaving));
        assert!(seating.is_evicted(&of_two[0]) && !seating.is_evicted(&other));
        seating.leave(&of_two[0]);
        assert!(seating.sit_plain(6, origin(1), 2).is_ok());
    }
}
