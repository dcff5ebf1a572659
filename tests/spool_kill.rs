//! A pipeline with a spool is killed again and again, also while the service is away: everything
//! up to its last whole fragment is stored in the end, once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proptest::prelude::RngExt;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::harness::{self, Run, Server};

/// How often the pipeline dies: a sample, and the whole.
const KILLS: usize = 5;
const KILLS_LONG: usize = 200;
/// How long it lives, from its first file on.
const LIFE_MS: std::ops::Range<u64> = 0..1500;
const SEED: [u8; 32] = *b"a pipeline that dies costs a GOP";
const FRAME_MS: u64 = 33;

/// A folder with the plugin as it was built for this test, and nothing else.
fn plugins(folder: &Path) -> PathBuf {
    let test = std::env::current_exe().expect("this test has a path");
    let built = test.with_file_name("libgstkvs.so");
    let plugins = folder.join("plugins");
    std::fs::create_dir(&plugins).expect("it is new");
    std::os::unix::fs::symlink(built, plugins.join("libgstkvs.so")).expect("it is new");
    plugins
}

/// A camera in a process of its own.
fn camera(url: &str, plugins: &Path, spool: &Path) -> Child {
    let pipeline = format!(
        "videotestsrc is-live=true ! video/x-raw,format=I420,width=64,height=48,framerate=30/1 \
         ! x264enc key-int-max=6 tune=zerolatency speed-preset=ultrafast \
         ! kvssink stream-name=cam endpoint={url} spool-path={}",
        spool.display()
    );
    let mut command = Command::new("gst-launch-1.0");
    command.args(pipeline.split_whitespace());
    command.env("GST_PLUGIN_PATH", plugins);
    command.env("GST_REGISTRY", plugins.with_extension("registry"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("gst-launch-1.0: run ./setup.sh")
}

/// The whole fragments in a spool: first and last time and the number of frames, by file.
fn fragments(spool: &Path) -> BTreeMap<String, (u64, u64, usize)> {
    let Ok(entries) = std::fs::read_dir(spool) else {
        return BTreeMap::new();
    };
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    let whole = names.filter_map(|name| {
        let fields: Vec<_> = name.strip_suffix(".mkv")?.split('_').collect();
        let ms = |at: usize| fields[at].parse::<u64>().expect("a time") / 1_000_000;
        let frames = fields[3].parse().expect("a number");
        Some((name.clone(), (ms(1), ms(2), frames)))
    });
    whole.collect()
}

/// Waits until a process has written a fragment, since when there is something to lose.
fn wait_for_work(server: Option<&Server>, spool: &Path, before: usize) {
    let begin = std::time::Instant::now();
    loop {
        let connected = server.is_some_and(|server| server.connections() > 0);
        if connected || fragments(spool).len() > before {
            return;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "the camera starts"
        );
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_pipeline_that_is_killed_loses_no_whole_fragment() {
    harness::init();
    let folder = tempfile::tempdir().expect("a folder");
    let spool = folder.path().join("spool");
    let plugins = plugins(folder.path());
    let mut server = Server::start_with(kvs_server::Config {
        data: Some(folder.path().join("data")),
        ..kvs_server::Config::default()
    });
    let url = server.url().to_owned();
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let kills = if harness::long() { KILLS_LONG } else { KILLS };
    let mut whole = BTreeMap::new();
    for kill in 0..kills {
        let is_away = random.random_range(0..2) == 0;
        if is_away {
            server.stop();
        }
        let before = fragments(&spool).len();
        let mut camera = camera(&url, &plugins, &spool);
        wait_for_work((!is_away).then_some(&server), &spool, before);
        let life = Duration::from_millis(random.random_range(LIFE_MS));
        std::thread::park_timeout(life);
        camera.kill().expect("it can be killed");
        camera.wait().expect("it is dead");
        whole.extend(fragments(&spool));
        if is_away {
            server.start_again();
        }
        if harness::long() && kill % 20 == 19 {
            eprintln!("{} of {kills} kills", kill + 1);
        }
    }

    // One more run brings up what is left.
    let mut run = Run::new(&format!(
        "videotestsrc num-buffers=3 ! video/x-raw,format=I420 ! x264enc tune=zerolatency \
         ! kvssink stream-name=cam endpoint={url} spool-path={}",
        spool.display()
    ));
    run.set_state(gst::State::Playing);
    run.wait_for_eos();
    run.set_state(gst::State::Null);
    assert_eq!(fragments(&spool).len(), 0);
    let stored = server.play_back("cam");
    let times: Vec<u64> = stored.frames.iter().map(|f| f.time.as_ms()).collect();
    assert!(
        times.is_sorted_by(|one, next| one < next),
        "each frame once"
    );
    assert!(
        !whole.is_empty(),
        "something was on disk when the pipeline died"
    );
    for (name, (from, to, frames)) in whole {
        let found: Vec<_> = times.iter().filter(|&&ms| from <= ms && ms <= to).collect();
        assert_eq!(found.len(), frames, "{name}");
        let has_gap = found
            .windows(2)
            .any(|pair| pair[1] - pair[0] > FRAME_MS + 2);
        assert!(!has_gap, "{name}: {found:?}");
    }
}
