use proptest::prelude::*;

use super::*;
use crate::consumer::scripted::{Dice, EPOCH_MS, stored};

const NOW: Timestamp = Timestamp::from_ms(EPOCH_MS + 1_000_000_000);

fn at(ms: u64) -> Timestamp {
    Timestamp::from_ms(EPOCH_MS + ms)
}

fn listed(number: u64, ms: u64) -> Listed {
    stored(number, EPOCH_MS + ms, 10).listed()
}

fn range(from: Option<u64>, to: Option<u64>) -> Range {
    Range {
        clock: RangeClock::Producer,
        from: from.map(at),
        to: to.map(at),
    }
}

/// Answers every request from `all`, in pages of one or two in an order of the dice's.
fn list(range: &Range, all: &[Listed], dice: &mut Dice) -> (Listing, usize) {
    let mut listing = Listing::new(range, NOW);
    let mut requests = 0;
    let mut pages: Vec<Listed> = Vec::new();
    while let Some((window, token)) = listing.request() {
        requests += 1;
        if token.is_none() {
            let inside =
                |listed: &&Listed| (window.from..=window.to).contains(&listing.clock.of(listed));
            pages = all.iter().filter(inside).cloned().collect();
            (1..pages.len()).for_each(|last| pages.swap(last, dice.below(last + 1)));
        }
        let page = pages.split_off(pages.len().saturating_sub(1 + dice.below(2)));
        let next_token = (!pages.is_empty()).then(|| "more".to_owned());
        listing
            .page(Page {
                fragments: page,
                next_token,
            })
            .expect("few");
    }
    (listing, requests)
}

fn numbers(listing: &Listing) -> Vec<String> {
    listing
        .fragments()
        .iter()
        .map(|listed| listed.number.to_string())
        .collect()
}

#[test]
fn a_range_begins_with_the_fragment_that_contains_its_start() {
    let all = [
        listed(1, 0),
        listed(2, 400),
        listed(3, 800),
        listed(4, 60_000),
    ];
    // 360 ms lie between the first and the last frame.
    for (from, first) in [(0, "1"), (399, "1"), (400, "2"), (1160, "3"), (30_000, "4")] {
        let (listing, _) = list(&range(Some(from), None), &all, &mut Dice::new(1));
        assert_eq!(
            numbers(&listing).first().map(String::as_str),
            Some(first),
            "{from}"
        );
        assert_eq!(listing.position(at(from)), Some(0));
    }
    let (listing, _) = list(&range(Some(70_000), None), &all, &mut Dice::new(1));
    assert_eq!((numbers(&listing).len(), listing.extent()), (0, None));
}

#[test]
fn of_two_that_start_together_the_later_number_is_read() {
    let all = [listed(5, 400), listed(1, 0), listed(2, 400), listed(9, 400)];
    let (listing, _) = list(&range(None, None), &all, &mut Dice::new(1));
    assert_eq!(numbers(&listing), ["1", "9"]);
    let by_server = Range {
        clock: RangeClock::Server,
        ..range(None, None)
    };
    let (listing, _) = list(&by_server, &all, &mut Dice::new(1));
    assert_eq!(numbers(&listing), ["1", "2", "5", "9"]);
}

#[test]
fn the_extent_is_that_of_the_frames() {
    let all = [listed(1, 0), listed(2, 400)];
    let (listing, requests) = list(&range(None, None), &all, &mut Dice::new(1));
    assert_eq!(
        listing.extent(),
        Some(Extent {
            start: at(0),
            end: at(760)
        })
    );
    assert!(requests <= 2);
}

#[test]
fn a_place_is_not_told_before_it_is_known() {
    let mut listing = Listing::new(&range(Some(0), Some(3_600_000)), NOW);
    assert_eq!(listing.position(at(0)), None);
    listing
        .page(Page {
            fragments: vec![listed(1, 0)],
            next_token: None,
        })
        .expect("few");
    assert_eq!(listing.position(at(100)), Some(0));
    assert_eq!(listing.position(at(3_000_000)), None);
}

#[test]
fn a_long_gap_costs_few_requests() {
    let year_ms = 365 * 24 * 3_600_000;
    let all = [listed(1, 0), listed(2, year_ms - 1)];
    let (listing, requests) = list(&range(Some(0), Some(year_ms)), &all, &mut Dice::new(1));
    assert_eq!(numbers(&listing), ["1", "2"]);
    assert!(requests < 20, "{requests}");
}

#[test]
fn a_range_the_wrong_way_round_is_empty() {
    let listing = Listing::new(&range(Some(100_000), Some(0)), NOW);
    assert_eq!(listing.request(), None);
}

#[test]
fn a_listing_has_a_bound() {
    let mut listing = Listing::new(&range(None, None), NOW);
    let page = Page {
        fragments: vec![listed(1, 0); FRAGMENTS_MAX + 1],
        next_token: None,
    };
    let error = listing.page(page).expect_err("too many");
    assert!(error.to_string().contains("start-time"), "{error}");
}

proptest! {
    #[test]
    fn whatever_the_pages_each_fragment_is_listed_once_and_in_order(
        starts in proptest::collection::btree_set(0_u64..7_200_000, 1..40),
        seed: u64,
        from in proptest::option::of(0_u64..7_200_000),
        to in proptest::option::of(0_u64..7_200_000),
    ) {
        let all: Vec<_> = starts.iter().zip(1..).map(|(ms, number)| listed(number, *ms)).collect();
        let (listing, _) = list(&range(from, to), &all, &mut Dice::new(seed));
        // The first one reaches into the range, or starts in it.
        let reach = |listed: &Listed| {
            listed.producer_time.as_ms() + listed.length_ms + LAST_FRAME_MS_MAX
        };
        let from_at = from.map_or(Timestamp::from_ms(0), at);
        let before = all.iter().rfind(|listed| listed.producer_time <= from_at);
        let before = before.filter(|listed| from_at.as_ms() <= reach(listed));
        let first = before.map_or(from_at, |listed| listed.producer_time);
        let last = to.map_or(NOW, at);
        let looked = from_at.as_ms().saturating_sub(FRAGMENT_MS_MAX) <= last.as_ms();
        let inside = |listed: &&Listed| {
            looked && first <= listed.producer_time && listed.producer_time <= last
        };
        let expected: Vec<_> = all.iter().filter(inside).cloned().collect();
        prop_assert_eq!(listing.fragments(), expected.as_slice());
    }
}
