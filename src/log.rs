//! stub
#![allow(missing_docs)]
use crate::{clock::Tick, model::Timestamp};
use crossbeam_channel::Receiver;
use std::{fmt, path::PathBuf};
pub struct Options {
    pub path: PathBuf,
    pub traffic: bool,
    pub bodies: bool,
    pub buffer_bytes: usize,
    pub file_bytes: usize,
    pub files_kept: usize,
}
#[derive(Debug, thiserror::Error)]
#[error("log")]
pub struct LogError;
pub struct Log {
    o: Options,
}
impl Log {
    pub fn open(o: Options) -> Result<Log, LogError> {
        Ok(Log { o })
    }
    pub fn info(&self, a: fmt::Arguments<'_>) {
        eprintln!("INFO {a}");
    }
    pub fn warn(&self, a: fmt::Arguments<'_>) {
        eprintln!("WARN {a}");
    }
    pub fn error(&self, a: fmt::Arguments<'_>) {
        eprintln!("ERROR {a}");
    }
    pub fn takes_traffic(&self) -> bool {
        self.o.traffic
    }
    pub fn takes_bodies(&self) -> bool {
        self.o.bodies
    }
    pub fn write_until(&self, stop: &Receiver<()>) {
        let _ = stop.recv();
    }
    pub fn reopen(&self) {}
    pub fn flush(&self) {}
}
#[derive(Default)]
pub struct RateLimit;
impl RateLimit {
    pub fn allow(&self, _now: Tick) -> Option<u64> {
        Some(0)
    }
}
#[derive(Default)]
pub struct Traffic;
impl Traffic {
    pub fn begin(&mut self, _now: Timestamp, _c: u64) {}
    pub fn line_in(&mut self, _l: &[u8]) {}
    pub fn line_out(&mut self, _l: &[u8]) {}
    pub fn finish(&mut self, _l: &Log) {}
    pub fn is_grown(&self) -> bool {
        false
    }
}
