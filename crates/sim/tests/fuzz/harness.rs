//! What all targets share: the corpus, the mutations and the limits.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use kvorum_sim::random::Random;

/// How long each target runs in a usual run.
const SECONDS: u64 = 30;
/// A corpus in memory grows no further, and no input of it.
const CORPUS_INPUTS: usize = 4096;
const INPUT_BYTES: usize = 64 * 1024;
/// What is kept in the repository.
const KEPT_INPUTS: usize = 48;
const KEPT_BYTES: usize = 2048;
/// Of all targets that run at once. Honest input needs a tenth.
const MEMORY_KIB: u64 = 1024 * 1024;
/// For one input.
const INPUT_MAX: Duration = Duration::from_secs(20);

/// Runs a target, which panics if something is wrong and otherwise says what came of an input.
pub(crate) fn fuzz(name: &str, seeds: Vec<Vec<u8>>, mut run: impl FnMut(&[u8]) -> String) {
    let seconds = number("KVORUM_FUZZ_SECONDS").unwrap_or(SECONDS);
    let keep = std::env::var_os("KVORUM_FUZZ_KEEP").is_some();
    let kept = kept(name);
    // A usual run does what the last one of the same code and corpus did as far
    // as the time goes: what it finds anybody finds again. The long form looks elsewhere each time.
    let seed = number("KVORUM_FUZZ_SEED").unwrap_or_else(|| match keep {
        true => SystemTime::UNIX_EPOCH.elapsed().expect("it is late").as_nanos() as u64,
        false => hash(&kept.concat()),
    });
    let mut this =
        Fuzzer { name, random: Random::new(seed), seen: BTreeSet::new(), corpus: vec![] };
    for input in kept.iter().cloned().chain(seeds) {
        this.try_one(input, &mut run);
    }
    let (since, mut inputs, mut kept) = (Instant::now(), 0u64, kept.len());
    while since.elapsed() < Duration::from_secs(seconds) {
        let input = this.draw();
        inputs += 1;
        let new = this.try_one(input, &mut run);
        if let Some(input) = new.filter(|input| keep && input.len() <= KEPT_BYTES)
            && kept < KEPT_INPUTS
        {
            this.write("", &input);
            kept += 1;
        }
    }
    // `cargo xtask test --long` reads this.
    println!("fuzz {name}: {inputs} inputs, {} outcomes, seed {seed}", this.seen.len());
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

struct Fuzzer<'a> {
    name: &'a str,
    random: Random,
    /// What came of inputs.
    seen: BTreeSet<u64>,
    corpus: Vec<Vec<u8>>,
}

fn dir(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus").join(name)
}

/// What earlier runs kept. Those that failed come first.
fn kept(name: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(dir(name)).map(|files| files.flatten().collect::<Vec<_>>());
    let mut paths: Vec<_> = files.unwrap_or_default().iter().map(fs::DirEntry::path).collect();
    paths.sort_by_key(|path| {
        (!path.to_string_lossy().contains("failed-"), path.as_os_str().to_owned())
    });
    paths.iter().map(|path| fs::read(path).expect("it can be read")).collect()
}

impl Fuzzer<'_> {
    fn write(&self, kind: &str, input: &[u8]) -> PathBuf {
        let path = dir(self.name).join(format!("{kind}{:016x}", hash(input)));
        fs::create_dir_all(dir(self.name)).expect("the repository can be written");
        fs::write(&path, input).expect("the repository can be written");
        path
    }

    /// Gives the input back if what came of it is new.
    fn try_one(
        &mut self,
        input: Vec<u8>,
        run: &mut impl FnMut(&[u8]) -> String,
    ) -> Option<Vec<u8>> {
        let since = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&input)));
        let (took, memory) = (since.elapsed(), memory_kib());
        let wrong = match &outcome {
            Err(_) => Some("it panicked: see above".to_owned()),
            Ok(_) if took > INPUT_MAX => Some(format!("it took {took:?}")),
            Ok(_) if memory > MEMORY_KIB => Some(format!("all took {memory} KiB")),
            Ok(_) => None,
        };
        if let Some(wrong) = wrong {
            let path = self.write("failed-", &input);
            panic!("{}: {wrong}. The input is kept in {}", self.name, path.display());
        }
        let text = outcome.unwrap_or_default();
        let words: String = text.chars().filter(|c| !c.is_ascii_digit()).take(4000).collect();
        let new = self.seen.insert(hash(words.as_bytes()));
        if new && self.corpus.len() < CORPUS_INPUTS {
            self.corpus.push(input.clone());
        }
        new.then_some(input)
    }

    fn below(&mut self, end: usize) -> usize {
        self.random.between(0, end as u64) as usize
    }

    /// One of the corpus, changed.
    fn draw(&mut self) -> Vec<u8> {
        let at = self.below(self.corpus.len());
        let mut input = self.corpus[at].clone();
        for _ in 0..=self.below(6) {
            self.mutate(&mut input);
        }
        input.truncate(INPUT_BYTES);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        const NOTABLE: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, 0x10];
        let at = self.below(input.len());
        let most = if self.random.in_1000(100) { 200 } else { 8 };
        let count = 1 + self.below(most);
        let end = (at + count).min(input.len());
        match self.below(9) {
            0 if at < input.len() => {
                let bit = self.below(8);
                input[at] ^= 1 << bit;
            }
            1 if at < input.len() => input[at] = NOTABLE[self.below(NOTABLE.len())],
            2 if at < input.len() => input[at] = input[at].wrapping_add(self.below(5) as u8),
            3 => {
                let new: Vec<u8> = (0..count).map(|_| self.random.next_u64() as u8).collect();
                input.splice(at..at, new);
            }
            4 => drop(input.drain(at..end)),
            5 => {
                let again = input[at..end].to_vec();
                let to = self.below(input.len());
                input.splice(to..to, again);
            }
            6 => {
                // A number as long as it can be.
                input.splice(at..at, [0xff; 9].into_iter().chain([1]));
            }
            7 => {
                let other = self.below(self.corpus.len());
                let other = &self.corpus[other];
                let from = self.random.between(0, other.len() as u64) as usize;
                input.truncate(at);
                input.extend(&other[from.min(other.len())..]);
            }
            _ if at < input.len() => {
                let byte = self.random.next_u64() as u8;
                input[at..end].fill(byte);
            }
            _ => {}
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// The most that this process ever held, where the system says so.
fn memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Takes an input apart. Of what is missing it makes zeros.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Bytes behind their length.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()) | usize::from(self.byte()) << 8;
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The other way round.
pub(crate) fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a seed is short");
    [length.to_le_bytes().as_slice(), bytes].concat()
}
