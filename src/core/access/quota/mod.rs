//! How much one principal may do at a node, whatever it may do: a client with a token, or all connections from one address
//! without one. Counts and times are arguments; what waits, and how, is the dialogue's.

mod allowance;
mod bucket;
mod ledger;

pub use self::{
    allowance::{Allowance, Charge, Quota, QuotaRules},
    bucket::Bucket,
    ledger::Ledger,
};
