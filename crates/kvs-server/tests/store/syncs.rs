//! Every sync of the store's procedures is needed: with any one of them taken out, some power cut
//! breaks a promise.
//!
//! Each procedure of `docs/store.md` runs on the simulated disk with one of its syncs doing
//! nothing, each in turn, and the power goes somewhere in it or just after it. A durable commit of
//! the index is some syncs of redb's own making, so all of them are taken out together.

use kvs_server::store::StoreError;
use kvs_server::store::disk::simulated::{Fault, Skip};

mod run;

use crate::fixtures::NOW_MS;
use run::Run;

/// How often the power goes, one sync taken out, for each that follows: what is lost is a matter of
/// chance.
const TRIES: u64 = 150;

/// How often it goes at each call, all syncs being made.
const CUTS_A_CALL: u64 = 16;

/// What the index's files are called, the fresh one as well.
const INDEX: &str = "index.redb";

/// What has to work when the procedure was cut short.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AfterCut {
    /// A start.
    Start,
    /// A start, and one without the index, which is made again.
    StartWithoutIndex,
    /// To do it again. It is as well if only the process has ended.
    Repeat,
    /// Either.
    StartOrRepeat,
}

/// What is done before, undisturbed, and what loses a sync.
struct Procedure {
    before: fn(&mut Run) -> Result<(), StoreError>,
    run: fn(&mut Run) -> Result<(), StoreError>,
    after_cut: AfterCut,
    /// Syncs without which nothing breaks.
    spare: &'static [&'static str],
}

fn prepared(procedure: &Procedure, seed: u64) -> Run {
    let mut run = Run::new(seed);
    (procedure.before)(&mut run).expect("nothing is wrong yet");
    run
}

/// What a procedure does when nothing goes wrong.
struct Course {
    calls: u64,
    syncs: usize,
    taken_out: Vec<TakenOut>,
}

/// A sync that is to do nothing.
struct TakenOut {
    name: String,
    skip: Skip,
    /// How many there are before it.
    at: usize,
}

fn course(procedure: &Procedure) -> Course {
    let mut run = prepared(procedure, 1);
    let (calls, before) = (run.disk.calls(), run.disk.syncs().len());
    (procedure.run)(&mut run).expect("nothing goes wrong");
    let calls = run.disk.calls() - calls;
    let syncs = run.disk.syncs().split_off(before);
    let mut taken_out = Vec::new();
    for (at, path) in syncs.iter().enumerate() {
        let before = syncs[..at].iter().filter(|other| *other == path).count();
        let skip = match path.starts_with(INDEX) {
            true if before > 0 => continue,
            true => Skip::All(path.clone()),
            false => Skip::One(path.clone(), before),
        };
        let name = format!("{path} {}", before + 1);
        taken_out.push(TakenOut { name, skip, at });
    }
    Course {
        calls,
        syncs: syncs.len(),
        taken_out,
    }
}

/// Where the power goes.
#[derive(Clone, Copy)]
enum Cut {
    /// At a call of this number.
    Call(u64),
    /// At a sync of this number.
    Sync(usize),
    /// Just after the procedure.
    End,
}

/// What harm a power cut does.
fn harm(procedure: &Procedure, cut: Cut, skip: Option<&Skip>, seed: u64) -> Option<String> {
    let mut run = prepared(procedure, seed);
    if let Some(skip) = skip {
        run.disk.skip_syncs(skip.clone());
    }
    match cut {
        Cut::Call(number) => run.disk.fault_after(number, Fault::PowerCut),
        Cut::Sync(number) => run.disk.cut_power_at_sync(number),
        Cut::End => {}
    }
    // It fails where the power goes.
    let done = (procedure.run)(&mut run).is_ok();
    let repeats = match procedure.after_cut {
        AfterCut::Repeat => !done,
        AfterCut::StartOrRepeat => !done && run.flips(),
        AfterCut::Start | AfterCut::StartWithoutIndex => false,
    };
    if repeats {
        let power_cut = run.flips();
        run.end_process(power_cut);
        if let Err(error) = (procedure.run)(&mut run) {
            return Some(format!("it cannot be done again: {error}"));
        }
    }
    let may_lose_index = procedure.after_cut == AfterCut::StartWithoutIndex || done || repeats;
    let index_lost = may_lose_index && run.flips();
    run.broken(index_lost)
}

fn needs_each_sync(procedure: &Procedure) {
    // That a sync is spare takes all the tries to show.
    let long = std::env::var_os("KVS_LONG_TESTS").is_some();
    let Course {
        calls,
        syncs,
        taken_out,
    } = course(procedure);
    for seed in 0..calls * if long { CUTS_A_CALL } else { 1 } {
        for cut in [Cut::Call(1 + seed % calls), Cut::End] {
            let harm = harm(procedure, cut, None, seed);
            assert_eq!(harm, None, "with all syncs, seed {seed}");
        }
    }
    let (mut spare, mut harms) = (Vec::new(), Vec::new());
    for TakenOut { name, skip, at } in taken_out {
        let known = procedure.spare.contains(&name.as_str());
        if known && !long {
            spare.push(name);
            continue;
        }
        let later = syncs - at;
        let harm = (0..TRIES * later as u64).find_map(|seed| {
            // What it is for shows mostly before the next one, and at the latest at the end.
            let cut = match seed % 3 {
                0 => Cut::Sync(at + 1),
                1 => Cut::Sync(at + 1 + seed as usize / 3 % later),
                _ => Cut::End,
            };
            harm(procedure, cut, Some(&skip), seed)
        });
        if harm.is_none() {
            spare.push(name.clone());
        }
        harms.push((name, harm));
    }
    assert_eq!(spare, procedure.spare, "{harms:#?}");
}

#[test]
fn procedure_1_first_start() {
    needs_each_sync(&Procedure {
        before: |_| Ok(()),
        run: Run::begin,
        after_cut: AfterCut::StartWithoutIndex,
        // The folder is synced once more before FORMAT says that anything has begun.
        spare: &["/ 1"],
    });
}

#[test]
fn procedure_2_create_a_stream() {
    needs_each_sync(&Procedure {
        before: Run::open,
        run: Run::create,
        after_cut: AfterCut::StartWithoutIndex,
        spare: &[],
    });
}

#[test]
fn procedure_2_change_a_stream() {
    needs_each_sync(&Procedure {
        before: Run::begin,
        run: Run::tag,
        after_cut: AfterCut::StartWithoutIndex,
        spare: &[],
    });
}

#[test]
fn procedure_3_number_fragments() {
    needs_each_sync(&Procedure {
        before: Run::begin,
        run: |run| {
            for _ in 0..1001 {
                let number = run.store()?.begin_fragment(run.streams[0], NOW_MS)?;
                run.seen = number.sequence;
            }
            Ok(())
        },
        after_cut: AfterCut::StartWithoutIndex,
        spare: &[],
    });
}

#[test]
fn procedure_4_append() {
    needs_each_sync(&Procedure {
        before: |run| {
            run.begin()?;
            run.append(5000)
        },
        run: |run| run.append(20_000),
        after_cut: AfterCut::StartWithoutIndex,
        spare: &[],
    });
}

#[test]
fn procedure_6_new_segment() {
    needs_each_sync(&Procedure {
        before: |run| {
            run.begin()?;
            run.append(40_000)
        },
        run: |run| run.append(40_000),
        after_cut: AfterCut::StartWithoutIndex,
        spare: &[],
    });
}

#[test]
fn procedure_7_a_sync_fails() {
    needs_each_sync(&Procedure {
        before: |run| {
            run.begin()?;
            run.append(5000)
        },
        run: |run| {
            run.disk.fault_after(1, Fault::SyncError);
            run.append(5000)
        },
        after_cut: AfterCut::StartWithoutIndex,
        spare: &[],
    });
}

#[test]
fn procedures_9_and_10_delete_a_stream_and_give_its_room_back() {
    needs_each_sync(&Procedure {
        before: |run| {
            run.begin()?;
            run.create()?;
            { 0..4 }.try_for_each(|_| run.append(30_000))
        },
        run: Run::delete,
        after_cut: AfterCut::StartWithoutIndex,
        // A name that comes back is that of an overwritten key, which the next start destroys.
        spare: &["keys/ 1"],
    });
}

#[test]
fn procedure_11_evict() {
    needs_each_sync(&Procedure {
        before: |run| {
            run.bytes_max = Some(3 << 16);
            run.begin()?;
            { 0..6 }.try_for_each(|_| run.append(30_000))
        },
        run: Run::evict,
        after_cut: AfterCut::StartWithoutIndex,
        spare: &[],
    });
}

#[test]
fn procedure_12_recovery() {
    needs_each_sync(&Procedure {
        before: |run| {
            run.begin()?;
            run.append(5000)?;
            run.append_without_sync()
        },
        run: |run| {
            run.open()?;
            // From now on readers see it.
            run.confirm();
            Ok(())
        },
        after_cut: AfterCut::StartWithoutIndex,
        spare: &[],
    });
}

#[test]
fn procedure_16_make_the_index_again() {
    needs_each_sync(&Procedure {
        before: |run| {
            run.begin()?;
            run.create()?;
            run.append(5000)?;
            run.delete()?;
            run.append_without_sync()
        },
        run: |run| {
            run.rebuild_index()?;
            run.open()?;
            run.confirm();
            // A number of which no record is left.
            let number = run.store()?.begin_fragment(run.streams[0], NOW_MS)?;
            run.seen = number.sequence;
            Ok(())
        },
        after_cut: AfterCut::Repeat,
        spare: &[],
    });
}

#[test]
fn procedure_17_rotate_the_master_key() {
    needs_each_sync(&Procedure {
        before: |run| {
            run.begin()?;
            run.append(5000)?;
            run.store = None;
            Ok(())
        },
        run: Run::rotate_key,
        // Until it is done the index says which key is in force.
        after_cut: AfterCut::Start,
        spare: &[],
    });
}

#[test]
fn procedure_18_back_up() {
    needs_each_sync(&Procedure {
        before: |run| {
            run.begin()?;
            run.append(40_000)?;
            run.begin_backup();
            Ok(())
        },
        run: Run::back_up,
        after_cut: AfterCut::StartOrRepeat,
        spare: &[
            // Its name says all.
            "BACKUP.new 1",
            // Nothing is a backup before FORMAT is there, and these are for one that is.
            "keys/ 1",
            "/ 2",
            "/ 3",
            "keys/ 2",
            "/ 4",
        ],
    });
}

#[test]
fn procedure_18_back_up_again() {
    needs_each_sync(&Procedure {
        before: |run| {
            run.begin()?;
            run.append(40_000)?;
            run.begin_backup();
            run.back_up()?;
            run.rotate_source()?;
            run.append_for_backup()
        },
        run: |run| {
            run.back_up()?;
            run.confirm();
            Ok(())
        },
        after_cut: AfterCut::StartOrRepeat,
        // They have nothing new, and the backup before has synced them.
        spare: &["streams/ 1", "segments/00000001 1"],
    });
}

#[test]
fn procedure_19_expire() {
    needs_each_sync(&Procedure {
        before: |run| {
            run.begin()?;
            { 0..4 }.try_for_each(|_| run.append(30_000))
        },
        run: Run::expire,
        after_cut: AfterCut::StartWithoutIndex,
        spare: &[],
    });
}

#[test]
fn procedure_19_lower_the_retention() {
    needs_each_sync(&Procedure {
        before: |run| {
            run.begin()?;
            { 0..4 }.try_for_each(|_| run.append(30_000))
        },
        run: Run::lower_retention,
        after_cut: AfterCut::StartWithoutIndex,
        spare: &[],
    });
}
