//! Every package that we build on may be used by a product under Apache-2.0.

use anyhow::{Result, bail};
use cargo_metadata::Metadata;

use super::none;

/// Licences that ask for no more than to be named.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Packages that say what they are under only in a file, and what it says.
const BY_HAND: &[(&str, &str)] = &[];

/// Checks every package of the lock file, for every platform.
pub(super) fn check(metadata: &Metadata) -> Result<()> {
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let by_hand = BY_HAND.iter().find(|(name, _)| *name == package.name.as_str());
        let licence = package.license.as_deref().or(by_hand.map(|(_, licence)| *licence));
        match licence.map(allowed) {
            Some(Ok(true)) => {}
            Some(Err(error)) => findings.push(format!("{}: {error}", package.name)),
            _ => findings.push(format!("{}: {}", package.name, licence.unwrap_or("no licence"))),
        }
    }
    none(findings)
}

/// Whether an expression such as `(MIT OR GPL-3.0) AND Zlib` can be satisfied.
fn allowed(expression: &str) -> Result<bool> {
    // The old form of OR is a slash.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let result = either(&words, &mut at)?;
    if at != words.len() {
        bail!("`{expression}` is no licence expression");
    }
    Ok(result)
}

/// `both OR both …`
fn either(words: &[&str], at: &mut usize) -> Result<bool> {
    let mut result = both(words, at)?;
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        result |= both(words, at)?;
    }
    Ok(result)
}

/// `one AND one …`, which binds more tightly.
fn both(words: &[&str], at: &mut usize) -> Result<bool> {
    let mut result = one(words, at)?;
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(words, at)?;
    }
    Ok(result)
}

/// `( either )`, `NAME` or `NAME WITH EXCEPTION`.
fn one(words: &[&str], at: &mut usize) -> Result<bool> {
    let Some(word) = words.get(*at) else { bail!("a licence expression ends too early") };
    *at += 1;
    if *word == "(" {
        let result = either(words, at)?;
        if words.get(*at) != Some(&")") {
            bail!("a parenthesis of a licence expression is not closed");
        }
        *at += 1;
        return Ok(result);
    }
    if words.get(*at) == Some(&"WITH") {
        let name = words.get(*at..*at + 2).unwrap_or_default().join(" ");
        *at += 2;
        return Ok(ALLOWED.contains(&format!("{word} {name}").as_str()));
    }
    Ok(ALLOWED.contains(word))
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn expressions_are_understood() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        ] {
            assert!(allowed(good).unwrap(), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "MIT AND (GPL-3.0 OR AGPL-3.0)", "GPL-3.0 WITH x"]
        {
            assert!(!allowed(bad).unwrap(), "{bad}");
        }
        assert!(allowed("(MIT").is_err() && allowed("MIT MIT").is_err() && allowed("").is_err());
    }
}
