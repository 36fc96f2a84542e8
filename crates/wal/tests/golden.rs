//! Every golden script says what it said before. `UPDATE_GOLDENFILES=1` writes them anew.

use std::path::Path;
use std::{env, fs};

use kvorum_wal::testing::{SCRIPTS, run};

#[test]
fn scripts() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let names = fs::read_dir(&directory).expect("the scripts are beside this file");
    let mut names: Vec<_> =
        names.map(|entry| entry.expect("the directory can be read").file_name()).collect();
    names.sort();
    assert!(names.iter().eq(SCRIPTS.iter().map(|(name, _)| name)), "SCRIPTS names them all");
    for (name, _) in SCRIPTS {
        let path = directory.join(name);
        let script = fs::read_to_string(&path).expect("a script is text");
        let output = run(&script);
        if env::var_os("UPDATE_GOLDENFILES").is_some() {
            fs::write(&path, &output).expect("the script can be written");
        } else {
            assert_eq!(script, output, "{}", path.display());
        }
    }
}
