//! A field is written by a name that it does not have: Python makes a new one.

pub struct Node {
    pub is_stopping: bool,
}

impl Node {
    pub fn stop(&mut self) {
        self.is_stoping = true; // fault
        // instead: self.is_stopping = true;
    }
}

fn main() {}
