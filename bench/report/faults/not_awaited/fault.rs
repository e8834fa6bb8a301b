//! What will have the answer is returned in the place of the answer.

async fn places(location: &str) -> Vec<u8> {
    location.as_bytes().to_vec()
}

pub async fn whatsat(location: &str) -> Vec<u8> {
    places(location) // fault
    // instead: places(location).await
}

fn main() {}
