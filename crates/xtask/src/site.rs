//! The site: everything that a browser loads, laid out in `target/site`.
//!
//! ```text
//! index.html                 from the top of the repository, placeholders filled
//! build.json                 {"build": "…"}: a tab of an older build notices that it is one
//! kvorum_web.js, …_bg.wasm   the page
//! kvorum_worker.js, …        the node
//! *.js                       worker/*.js, the hand-written parts of the Worker
//! style.css, assets/…        web/style.css, web/assets/…
//! *.gz                       each of these, packed beforehand: what a server sends
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;

use crate::digest::Digest;
use crate::size::{self, Sizes};
use crate::{bindgen, compile, root, run};

/// How to build.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct Options {
    /// Leave names and debug information in the wasm, and do not optimise it.
    #[arg(long)]
    pub(crate) debug_wasm: bool,
}

/// A built product.
pub(crate) struct Site {
    /// The directory to serve.
    pub(crate) dir: PathBuf,
    /// The native program.
    pub(crate) program: PathBuf,
}

/// The files of a site by their path in it.
type Files = BTreeMap<String, Vec<u8>>;

/// A file as it is served.
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    /// As gzip, if that is smaller.
    pub(crate) packed: Option<Vec<u8>>,
}

impl File {
    /// What a server sends of it.
    pub(crate) fn sent(&self) -> &[u8] {
        self.packed.as_deref().unwrap_or(&self.bytes)
    }
}

/// What a packed file's name ends in.
const PACKED: &str = ".gz";

/// More rounds take longer and hardly find anything.
const PACK_ROUNDS: NonZeroU64 = NonZeroU64::new(4).unwrap();

/// Builds the native program and the site.
pub(crate) fn build(options: Options) -> Result<Site> {
    let compiled = compile::all(options.debug_wasm)?;
    let mut files = Files::new();
    for (name, wasm) in &compiled.modules {
        collect(&bindgen::generate(name, wasm, options.debug_wasm)?, "", &mut files)?;
    }
    collect_sources(&mut files)?;
    let build = fill(&mut files)?;
    let dir = root::target().join("site");
    // Names and all: as large as it is, nobody waits for it to be packed.
    let files = if options.debug_wasm { unpacked(files) } else { pack(files, &dir)? };
    write(&files, &dir)?;
    if !options.debug_wasm {
        measure(&files).print();
    }
    run::step("Built", &format!("{} (build {build})", shown(&dir)));
    Ok(Site { dir, program: compiled.program })
}

/// Adds what is written by hand.
fn collect_sources(files: &mut Files) -> Result<()> {
    let index = root::path("index.html");
    let text = fs::read(&index).with_context(|| format!("cannot read {}", index.display()))?;
    insert(files, "index.html".into(), text)?;
    for name in scripts(&root::path("worker"))? {
        let bytes = fs::read(root::path("worker").join(&name))?;
        insert(files, name, bytes)?;
    }
    let style = root::path("web/style.css");
    if style.exists() {
        insert(files, "style.css".into(), fs::read(style)?)?;
    }
    let assets = root::path("web/assets");
    if assets.exists() {
        collect(&assets, "assets/", files)?;
    }
    Ok(())
}

/// The JavaScript files directly in a directory.
fn scripts(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "js" || e == "mjs") {
            names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

fn collect(dir: &Path, prefix: &str, files: &mut Files) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else {
            insert(files, name, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

fn insert(files: &mut Files, name: String, bytes: Vec<u8>) -> Result<()> {
    // Both modules may carry the same snippet of a shared crate; anything else is a clash.
    match files.get(&name) {
        Some(have) if *have != bytes => bail!("two different files of the site are named {name}"),
        _ => files.insert(name, bytes),
    };
    Ok(())
}

/// Fills the placeholders, adds `build.json` and returns the build.
///
/// The build is a hash over the site as it was before: it changes exactly when some file does.
fn fill(files: &mut Files) -> Result<String> {
    let mut digest = Digest::default();
    for (name, bytes) in files.iter() {
        digest.add(name, bytes);
    }
    let build = digest.hex();
    for (name, bytes) in files.iter_mut() {
        // Only text is looked into: a wasm may hold these bytes by chance.
        if [".html", ".js", ".mjs", ".css"].iter().any(|end| name.ends_with(end)) {
            let text = std::str::from_utf8(bytes).with_context(|| format!("{name} is not text"))?;
            let filled =
                text.replace("{{build}}", &build).replace("{{version}}", env!("CARGO_PKG_VERSION"));
            if name == "index.html" && filled.contains("{{") {
                bail!("index.html has a placeholder other than {{{{build}}}} and {{{{version}}}}");
            }
            *bytes = filled.into_bytes();
        }
    }
    files.insert("build.json".into(), format!("{{\"build\":\"{build}\"}}\n").into_bytes());
    Ok(build)
}

/// Packs each file that is not in the last site already, all at once.
fn pack(files: Files, last: &Path) -> Result<BTreeMap<String, File>> {
    let have = read(last).unwrap_or_default();
    thread::scope(|scope| {
        let packing = files.into_iter().map(|(name, bytes)| {
            let same = have.get(&name).filter(|file| file.bytes == bytes);
            let known = same.and_then(|file| file.packed.clone());
            let packed = scope.spawn(move || match known {
                Some(packed) => Ok(File { bytes, packed: Some(packed) }),
                None => packed(bytes),
            });
            (name, packed)
        });
        // All are begun before the first is waited for.
        let packing: Vec<_> = packing.collect();
        let done = packing.into_iter().map(|(name, packed)| {
            let packed = packed.join().map_err(|_| anyhow!("packing {name} panicked"))?;
            Ok((name, packed?))
        });
        done.collect()
    })
}

fn packed(bytes: Vec<u8>) -> Result<File> {
    let options = zopfli::Options { iteration_count: PACK_ROUNDS, ..zopfli::Options::default() };
    let mut packed = Vec::new();
    zopfli::compress(options, zopfli::Format::Gzip, bytes.as_slice(), &mut packed)?;
    let smaller = packed.len() < bytes.len();
    Ok(File { bytes, packed: smaller.then_some(packed) })
}

fn unpacked(files: Files) -> BTreeMap<String, File> {
    files.into_iter().map(|(name, bytes)| (name, File { bytes, packed: None })).collect()
}

/// Replaces the site as a whole: a hub that serves meanwhile sees the old one or the new one.
fn write(files: &BTreeMap<String, File>, dir: &Path) -> Result<()> {
    let (next, last) = (dir.with_extension("next"), dir.with_extension("last"));
    bindgen::remove_dir(&next)?;
    bindgen::remove_dir(&last)?;
    let write = |name: &str, bytes: &[u8]| {
        let path = next.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&next))?;
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    for (name, file) in files {
        write(name, &file.bytes)?;
        if let Some(packed) = &file.packed {
            write(&format!("{name}{PACKED}"), packed)?;
        }
    }
    if dir.exists() {
        fs::rename(dir, &last)?;
    }
    fs::rename(&next, dir).with_context(|| format!("cannot write {}", dir.display()))?;
    bindgen::remove_dir(&last)
}

/// A site on disk.
fn read(dir: &Path) -> Result<BTreeMap<String, File>> {
    let mut files = Files::new();
    collect(dir, "", &mut files)?;
    let (packed, plain): (Files, Files) =
        files.into_iter().partition(|(name, _)| name.ends_with(PACKED));
    let mut files = unpacked(plain);
    for (name, bytes) in packed {
        let file = name.strip_suffix(PACKED).and_then(|plain| files.get_mut(plain));
        file.with_context(|| format!("{name} is packed, and of what is not there"))?.packed =
            Some(bytes);
    }
    Ok(files)
}

/// What a site on disk weighs.
pub(crate) fn sizes(dir: &Path) -> Result<Sizes> {
    Ok(measure(&read(dir)?))
}

fn measure(files: &BTreeMap<String, File>) -> Sizes {
    size::measure(files.iter().map(|(name, file)| (name.as_str(), file)))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root::dir()).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::{Files, fill, insert, pack, read, write};

    fn site(index: &str) -> Files {
        Files::from([("index.html".into(), index.into()), ("a.wasm".into(), b"{{build}}".to_vec())])
    }

    #[test]
    fn the_build_is_filled_in_and_follows_the_contents() {
        let mut files = site("<meta content={{build}}>");
        let build = fill(&mut files).unwrap();
        assert_eq!(build.len(), 16);
        assert_eq!(files["index.html"], format!("<meta content={build}>").into_bytes());
        assert_eq!(files["build.json"], format!("{{\"build\":\"{build}\"}}\n").into_bytes());
        assert_eq!(files["a.wasm"], b"{{build}}");
        assert_ne!(fill(&mut site("other {{build}}")).unwrap(), build);
    }

    #[test]
    fn an_unknown_placeholder_is_refused() {
        assert!(fill(&mut site("{{bulid}}")).is_err());
    }

    #[test]
    fn a_clash_of_names_is_refused() {
        let mut files = Files::new();
        insert(&mut files, "a".into(), vec![1]).unwrap();
        insert(&mut files, "a".into(), vec![1]).unwrap();
        assert!(insert(&mut files, "a".into(), vec![2]).is_err());
    }

    #[test]
    fn what_was_packed_is_not_packed_again() {
        let dir = std::env::temp_dir().join(format!("kvorum-site-{}", std::process::id()));
        let site = || Files::from([("a/b.js".into(), vec![7; 5000]), ("c".into(), vec![1])]);
        let packed = pack(site(), &dir).unwrap();
        assert!(packed["a/b.js"].sent().len() < 100 && packed["c"].sent() == [1]);
        write(&packed, &dir).unwrap();
        assert_eq!(std::fs::read(dir.join("a/b.js.gz")).unwrap(), packed["a/b.js"].sent());
        // A sign that what is there is taken, and only while it is of the same bytes.
        std::fs::write(dir.join("a/b.js.gz"), b"as it was").unwrap();
        assert_eq!(read(&dir).unwrap().len(), 2);
        assert_eq!(pack(site(), &dir).unwrap()["a/b.js"].sent(), b"as it was");
        let other = Files::from([("a/b.js".into(), vec![8; 5000])]);
        assert_ne!(pack(other, &dir).unwrap()["a/b.js"].sent(), b"as it was");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
