//! One of two branches makes the answer and does not return it.

pub fn skew(difference: i64) -> String {
    if difference >= 0 {
        return format!("+{difference}");
    }
    difference.to_string(); // fault
    // instead: difference.to_string()
}

fn main() {}
