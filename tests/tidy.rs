//! The house rules that a machine can check: layout, size, direction of dependencies, wording.

use std::fs;
use std::path::{Path, PathBuf};

/// A file longer than this holds two ideas.
const FILE_LINES_MAX: usize = 500;
/// What fits beside a second file on a screen.
const LINE_CHARS_MAX: usize = 100;
/// Files we did not write by hand.
const GENERATED: [&str; 3] = ["target", "vendor", "node_modules"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `dir` whose name ends in one of `endings`, without build output.
fn files(dir: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !GENERATED.contains(&name.as_str()) {
                found.extend(files(&path, endings));
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// The part of a source file before the unit tests at its foot.
fn without_tests(source: &str) -> &str {
    source
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(source)
}

fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn files_are_short() {
    let long = files(root(), &[".rs", ".sh", ".py", ".js", ".css", ".html"])
        .iter()
        .map(|path| (path, read(path).lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(path, lines)| format!("{}: {lines} lines", shown(path)))
        .collect::<Vec<_>>();
    none(&format!("split these: over {FILE_LINES_MAX} lines"), &long);
}

#[test]
fn lines_are_short() {
    let mut long = Vec::new();
    for path in files(root(), &[".rs"]) {
        for (at, line) in read(&path).lines().enumerate() {
            if line.chars().count() > LINE_CHARS_MAX {
                long.push(format!("{}:{}", shown(&path), at + 1));
            }
        }
    }
    none(
        &format!("wrap these: over {LINE_CHARS_MAX} characters"),
        &long,
    );
}

#[test]
fn every_source_file_says_what_it_is() {
    let silent = files(root(), &[".rs"])
        .iter()
        .filter(|path| !path.ends_with("tests.rs"))
        .filter(|path| !read(path).starts_with("//!"))
        .map(|path| shown(path))
        .collect::<Vec<_>>();
    none("start these with a `//!` sentence", &silent);
}

#[test]
fn names_say_something() {
    const EMPTY: [&str; 5] = ["util", "utils", "common", "helper", "misc"];
    let vague = files(root(), &[".rs"])
        .iter()
        .filter(|path| {
            let stem = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            EMPTY.contains(&stem.as_str()) || stem.contains("manager")
        })
        .map(|path| shown(path))
        .collect::<Vec<_>>();
    none("give these the field's own names", &vague);
}

/// The names of our crates in one section of a manifest.
fn ours(manifest: &str, section: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == section;
        } else if inside && line.starts_with("kvs-") {
            names.extend(line.split(['.', ' ', '=']).next().map(str::to_owned));
        }
    }
    names
}

#[test]
fn dependencies_point_down() {
    let allowed = [
        ("Cargo.toml", vec!["kvs-client", "kvs-media"]),
        (
            "crates/kvs-client/Cargo.toml",
            vec!["kvs-media", "kvs-protocol"],
        ),
        (
            "crates/kvs-server/Cargo.toml",
            vec!["kvs-media", "kvs-protocol"],
        ),
        ("crates/kvs-media/Cargo.toml", vec![]),
        ("crates/kvs-protocol/Cargo.toml", vec![]),
    ];
    for (manifest, may) in allowed {
        let found = ours(&read(&root().join(manifest)), "[dependencies]");
        let wrong = found
            .into_iter()
            .filter(|name| !may.contains(&name.as_str()));
        none(
            &format!("{manifest} may not depend on"),
            &wrong.collect::<Vec<_>>(),
        );
    }
}

#[test]
fn the_floors_do_no_io() {
    const FORBIDDEN: [&str; 6] = [
        "tokio",
        "std::net",
        "std::fs",
        "::now()",
        "async fn",
        "SystemRandom",
    ];
    let mut found = Vec::new();
    for floor in ["crates/kvs-media/src", "crates/kvs-protocol/src"] {
        for path in files(&root().join(floor), &[".rs"]) {
            if path.ends_with("tests.rs") || shown(&path).contains("/tests/") {
                continue;
            }
            let source = read(&path);
            for word in FORBIDDEN
                .iter()
                .filter(|word| without_tests(&source).contains(**word))
            {
                found.push(format!("{}: {word}", shown(&path)));
            }
        }
    }
    none("I/O, clock or randomness below the drivers", &found);
}

#[test]
fn tests_neither_sleep_nor_hide() {
    const FORBIDDEN: [&str; 3] = ["thread::sleep", "time::sleep(", "#[ignore"];
    let mut found = Vec::new();
    for path in files(root(), &[".rs"]) {
        let name = shown(&path);
        if name == "tests/tidy.rs" {
            continue;
        }
        let source = read(&path);
        let tests = if name.contains("tests") {
            source.as_str()
        } else {
            &source[without_tests(&source).len()..]
        };
        for word in FORBIDDEN.iter().filter(|word| tests.contains(**word)) {
            found.push(format!("{name}: {word}"));
        }
    }
    none("wait for the event instead", &found);
}

#[test]
fn nothing_is_left_half_done() {
    let marks = ["TO", "FIX", "XX", "HA"]
        .iter()
        .zip(["DO", "ME", "X", "CK"]);
    let marks = marks.map(|(a, b)| format!("{a}{b}")).collect::<Vec<_>>();
    let mut found = Vec::new();
    for path in files(root(), &[".rs", ".sh", ".py", ".md", ".toml"]) {
        for (at, line) in read(&path).lines().enumerate() {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            if words
                .into_iter()
                .any(|word| marks.iter().any(|mark| mark == word))
            {
                found.push(format!("{}:{}", shown(&path), at + 1));
            }
        }
    }
    none("finish these", &found);
}

#[test]
fn the_readme_names_every_element_and_pipeline() {
    let readme = read(&root().join("README.md"));
    let mut wanted = files(&root().join("pipelines"), &[".sh"])
        .iter()
        .map(|path| shown(path))
        .collect::<Vec<_>>();
    wanted.extend(["kvssink", "kvssrc", "kvs-server", "./tests/run.sh"].map(str::to_owned));
    wanted.retain(|name| !readme.contains(name.as_str()));
    none("README.md does not name", &wanted);
}

#[test]
fn every_element_has_a_page_with_a_pipeline() {
    for element in ["kvssink", "kvssrc"] {
        let page = read(&root().join(format!("docs/elements/{element}.md")));
        assert!(
            page.contains("gst-launch-1.0"),
            "docs/elements/{element}.md shows no pipeline"
        );
    }
}

#[test]
fn documents_link_to_files_that_exist() {
    let mut broken = Vec::new();
    for path in files(root(), &[".md"]) {
        let text = read(&path);
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = link.split('#').next().unwrap_or(link);
            let local = !file.is_empty() && !file.contains("://") && !file.contains(' ');
            if local && !path.parent().unwrap_or(root()).join(file).exists() {
                broken.push(format!("{}: {link}", shown(&path)));
            }
        }
    }
    none("mend these links", &broken);
}
