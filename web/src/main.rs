//! The page's entry.

fn main() {
    kvorum_web::start();
}
