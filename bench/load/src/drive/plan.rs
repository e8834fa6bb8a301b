//! Before a run: whether its load makes sense, and which requests and clients each connection gets.

use rustix::process::{Resource, getrlimit};

use crate::{
    keys::{ByRank, Keys, slices},
    load::{Choice, Dialect, Length, Load, LoadError},
};

/// Files that the tester itself has open, at most.
const DESCRIPTORS: u64 = 24;

/// Refuses what makes no sense.
pub(super) fn check(load: &Load) -> Result<(), LoadError> {
    let Load { targets, connections, pipeline, clients, mix, dialect, rate, reconnect, half_close, .. } =
        load;
    let descriptors = u64::from(*connections) + u64::from(load.idle) + DESCRIPTORS;
    if let Some(limit) = getrlimit(Resource::Nofile).current.filter(|limit| *limit < descriptors) {
        return Err(LoadError::Descriptors { limit, needed: descriptors });
    }
    let counts = [("the number of servers", targets.len() as u32), ("-c", *connections), ("-P", *pipeline)];
    if let Some((what, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
        return Err(LoadError::Nothing(what));
    }
    let owns_clients = load.length == Length::EveryClient || load.choice == Choice::Uniform;
    if *clients == 0 || (owns_clients && clients < connections) {
        return Err(LoadError::TooFewClients { clients: *clients, connections: *connections });
    }
    let weights = mix.iamat.checked_add(mix.whatsat);
    let faults = [
        (weights.is_none_or(|all| all == 0), "the weights of --mix must be above 0 together, and below 2^32"),
        (mix.whatsat > 0 && *dialect != Dialect::Herd, "only a herd is asked WHATSAT; leave it out of --mix"),
        (rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0), "a rate must be above 0"),
        (*reconnect && *pipeline > 1, "with a connection for each request, -P must be 1"),
        (
            load.resume && load.tls.is_none(),
            "only TLS connections are resumed: --resume needs --tls, --ca or --insecure",
        ),
        (*half_close && !*reconnect, "a half-close ends a connection: --half-close needs --reconnect"),
    ];
    let fault = faults.into_iter().find(|(is_so, _)| *is_so);
    fault.map_or(Ok(()), |(_, why)| Err(LoadError::Senseless(why)))
}

/// The clients of each connection that asks.
pub(super) fn keys(load: &Load) -> Result<Vec<Keys>, LoadError> {
    let slices = slices(load.clients, load.connections);
    if load.length == Length::EveryClient {
        return Ok(slices.map(Keys::in_turn).collect());
    }
    match load.choice {
        Choice::Uniform => Ok(slices.map(Keys::Uniform).collect()),
        Choice::Zipf(exponent) => {
            let refused = LoadError::Senseless("an exponent of Zipf's law must be 0 or above");
            let by_rank = ByRank::new(load.clients, exponent).ok_or(refused)?;
            Ok((0..load.connections).map(|_| Keys::Zipf(by_rank.clone())).collect())
        }
    }
}

/// How many requests the connection at `index` sends in all.
pub(super) fn share(load: &Load, index: u64, keys: &Keys) -> u64 {
    let connections = u64::from(load.connections);
    match (load.length, keys) {
        (Length::Time(_), _) => u64::MAX,
        (Length::EveryClient, Keys::InTurn { slice, .. }) => u64::from(slice.end - slice.start),
        (Length::EveryClient, _) => 0,
        (Length::Requests(all), _) => all / connections + u64::from(index < all % connections),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::{drive::drive, load::Mix};

    fn load(length: Length) -> Load {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        Load { connections: 3, pipeline: 2, clients: 10, length, ..Load::on(address) }
    }

    #[test]
    fn the_shares_of_the_connections_add_up() {
        let total = |length| {
            let load = load(length);
            let keys = keys(&load).unwrap();
            keys.iter().enumerate().map(|(index, keys)| share(&load, index as u64, keys)).sum::<u64>()
        };
        assert_eq!(total(Length::Requests(100)), 100);
        assert_eq!(total(Length::Requests(2)), 2);
        assert_eq!(total(Length::EveryClient), 10);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let load = load(Length::EveryClient);
        let few = Load { clients: 2, ..load.clone() };
        assert!(matches!(drive(&few), Err(LoadError::TooFewClients { clients: 2, connections: 3 })));
        for nothing in [
            Load { connections: 0, ..load.clone() },
            Load { pipeline: 0, ..load.clone() },
            Load { targets: Vec::new(), ..load.clone() },
        ] {
            assert!(matches!(drive(&nothing), Err(LoadError::Nothing(_))));
        }
        let lookups = Mix { iamat: 0, whatsat: 1 };
        for senseless in [
            Load { mix: Mix { iamat: 0, whatsat: 0 }, ..load.clone() },
            Load { mix: lookups, dialect: Dialect::RedisSet, ..load.clone() },
            Load { rate: Some(0.0), ..load.clone() },
            Load { rate: Some(f64::NAN), ..load.clone() },
            Load { reconnect: true, ..load.clone() },
            Load { half_close: true, pipeline: 1, ..load.clone() },
            Load { choice: Choice::Zipf(-1.0), length: Length::Requests(1), ..load.clone() },
        ] {
            assert!(matches!(drive(&senseless), Err(LoadError::Senseless(_))), "{senseless:?}");
        }
    }
}
