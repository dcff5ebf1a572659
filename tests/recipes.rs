//! The recipes of the README and of the elements' documents: each can be typed as it stands.

use crate::harness;

/// Files with recipes, and what stands before each of their lines.
const FILES: [(&str, &str); 5] = [
    ("README.md", "    "),
    ("docs/elements/kvssink.md", "    "),
    ("docs/elements/kvssrc.md", "    "),
    ("src/kvssink/mod.rs", "//! "),
    ("src/kvssrc/mod.rs", "//! "),
];

/// What a shell would have in place of `$(date …)`.
const DATE: &str = "2026-01-01T00:00:00Z";

/// The pipelines in a file, each in one line: what follows `gst-launch-1.0` and its options.
fn recipes(file: &str, margin: &str) -> Vec<String> {
    let text = std::fs::read_to_string(harness::file(file)).expect("the file is there");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(margin));
    let mut recipes = Vec::new();
    while let Some(line) = lines.next() {
        let Some((_, line)) = line.split_once("gst-launch-1.0 ") else {
            continue;
        };
        let mut words = Vec::new();
        let mut line = line;
        loop {
            let text = with_dates(line.trim_end_matches('\\'));
            let text = text.split(" > ").next().unwrap_or_default();
            words.extend(text.split_whitespace().map(str::to_owned));
            if !line.ends_with('\\') {
                break;
            }
            line = lines.next().expect("a line that goes on has a next one");
        }
        words.retain(|word| !["-e", "-m"].contains(&word.as_str()));
        recipes.push(words.join(" "));
    }
    assert!(!recipes.is_empty(), "{file} has recipes");
    recipes
}

/// A line with its `$(date …)` worked out.
fn with_dates(line: &str) -> String {
    let mut parts = line.split("$(date ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once(')').expect("a bracket that closes");
        text = text + DATE + rest;
    }
    text
}

#[test]
fn every_recipe_names_elements_and_properties_that_there_are() {
    harness::init();
    for (file, margin) in FILES {
        for recipe in recipes(file, margin) {
            if let Err(error) = gst::parse::launch(&recipe) {
                panic!("{file}: {error}: {recipe}");
            }
        }
    }
}

#[test]
fn a_camera_is_recorded_by_the_same_words_everywhere() {
    let camera = |(file, margin)| {
        let mut recipes = recipes(file, margin).into_iter();
        let recipe = recipes.find(|recipe| recipe.starts_with("rtspsrc location="));
        recipe.expect("a camera's recipe")
    };
    let [readme, document, _, module, _] = FILES;
    assert_eq!(camera(readme), camera(document));
    assert_eq!(camera(readme), camera(module));
}
