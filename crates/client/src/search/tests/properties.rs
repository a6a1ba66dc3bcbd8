//! Whatever a log holds, a search finds what looking at each entry finds.

use proptest::prelude::*;

use super::*;

/// Around every power of four of bundles that a small log can have.
const SIZES: [usize; 18] = [
    1, 100, 255, 256, 257, 511, 512, 1023, 1024, 1025, 1279, 1280, 1281, 2000, 4095, 4096, 4097,
    5000,
];

/// How often words are there: of so many entries one has it, by chance; 0 is none of them.
type Rarities = Vec<u64>;

fn rarities() -> impl Strategy<Value = Rarities> {
    let rarity = prop_oneof![Just(0_u64), Just(1), 2_u64..5, 5_u64..40, 300_u64..3000];
    proptest::collection::vec(rarity, 1..6)
}

/// A number that is the same each time, and looks like chance.
fn chance(seed: u64, word: usize, index: usize) -> u64 {
    let mixed = Key::new(5, format!("{seed} {word} {index}").as_bytes());
    mixed.prefix(32)
}

fn words(seed: u64, rarities: &[u64], index: usize) -> String {
    let has = |(word, rarity): (usize, &u64)| {
        let one = chance(seed, word, index).checked_rem(*rarity) == Some(0);
        one.then(|| format!("word{word}"))
    };
    let words: Vec<_> = rarities.iter().enumerate().filter_map(has).collect();
    words.join(" ")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_search_finds_what_is_there(
        count in proptest::sample::select(&SIZES[..]),
        behind in 0_usize..8,
        is_indexed in proptest::bool::weighted(0.9),
        seed: u64,
        rarities in rarities(),
        at in proptest::collection::vec(any::<proptest::sample::Index>(), 2),
        max_scanned in prop_oneof![Just(0_u64), Just(1), Just(255), Just(256), Just(300), Just(u64::MAX)],
    ) {
        let world = World::new(count, |index| words(seed, &rarities, index));
        let bundles = (count / 256).saturating_sub(behind);
        let is_indexed = is_indexed && bundles > 0;
        if is_indexed {
            world.index.publish(&world.log, &index_signer(1), bundles);
        }
        let names: Vec<_> = (0..rarities.len()).map(|n| format!("word{n}")).collect();
        let mut keys: Vec<_> = names.iter().map(|name| word(name)).collect();
        keys.push(word("nowhere"));
        keys.push(keys[0]);
        keys.extend(at.iter().map(|at| keys_of(&world.entries[at.index(count)])[0]));
        let covered = if is_indexed { bundles * 256 } else { 0 };
        block_on(async {
            let reader = fresh(&world.log);
            let searched = reader.search(&keys, EVERYTHING).await.unwrap();
            assert_eq!(searched.checkpoint.size(), size(count));
            assert_eq!(searched.index.is_some(), is_indexed);
            assert!(searched.is_complete());
            world.check(&reader, &keys, &searched).await;

            let reader = fresh(&world.log);
            let searched = reader.search(&keys, scan_at_most(max_scanned)).await.unwrap();
            let expected = (covered as u64).saturating_add(max_scanned).min(count as u64);
            assert_eq!(searched.proven.get(), expected);
            assert_eq!(searched.is_complete(), expected == count as u64);
            world.check(&reader, &keys, &searched).await;
        });
    }
}

/// A run of level 4 is live at 272 bundles and not at 271, and has lists of more than one page.
#[tokio::test]
async fn lists_of_many_pages_are_read_from_the_end() {
    let count = 272 * 256 + 300;
    let world = World::new(count, |index| {
        let mut words = vec!["all"];
        let rare = (index % 1000 == 999).then_some("rare");
        words.extend(rare);
        // In the first run as a list, in the others beside the key.
        let early = (index < 40_000 || index % 600 == 0).then_some("early");
        words.extend(early);
        words.join(" ")
    });
    let keys = words_of(&["all", "early", "rare", "nowhere"]);
    for (bundles, pages) in [(271, 4), (272, 4)] {
        world.index.publish(&world.log, &index_signer(1), bundles);
        let reader = fresh(&world.log);
        let searched = reader.search(&keys, EVERYTHING).await.unwrap();
        let lists = &searched.answers[0].lists;
        let paged: u64 = lists
            .iter()
            .filter(|list| list.run().level() >= 3)
            .map(List::pages)
            .sum();
        assert_eq!(paged, pages);
        world.check(&reader, &keys, &searched).await;

        // Only the pages that it takes.
        let answer = &searched.answers[1];
        world.log.take_fetched();
        let newest = reader.newest(&searched, answer, 40).await.unwrap();
        assert_eq!(newest.len(), 40);
        let fetched = world.log.take_fetched();
        assert_eq!(fetched.len(), 1, "{fetched:?}");
    }
}

/// The sizes of the index between which the live runs change most.
#[tokio::test]
async fn every_size_of_a_small_index_serves() {
    let world = World::new(20 * 256 + 7, |index| format!("all tenth{}", index % 10));
    let keys = words_of(&["all", "tenth3", "nowhere"]);
    let memory = CheckpointMemory::in_process();
    for bundles in 1..=20 {
        world.index.publish(&world.log, &index_signer(1), bundles);
        let reader = reader(world.log.clone(), &memory);
        let searched = reader.search(&keys, EVERYTHING).await.unwrap();
        let index = searched.index.as_ref().unwrap();
        assert_eq!(index.covered(), size(256 * bundles));
        assert_eq!(index.checkpoint().size(), size(bundles));
        world.check(&reader, &keys, &searched).await;
    }
}

#[tokio::test]
async fn a_log_without_entries_has_none_with_a_key() {
    let world = World::new(0, |_| String::new());
    let reader = fresh(&world.log);
    let searched = reader
        .search(&words_of(&["all"]), EVERYTHING)
        .await
        .unwrap();
    assert!(searched.is_complete() && searched.index.is_none());
    assert!(searched.answers[0].is_absence());
    let searched = reader.search(&[], EVERYTHING).await.unwrap();
    assert!(searched.answers.is_empty());
}
