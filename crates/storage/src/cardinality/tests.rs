use super::*;

fn index() -> Arc<RwLock<Index>> {
    Arc::default()
}

fn limit(series: u64, values: u64, shards: &[&Arc<RwLock<Index>>]) -> SeriesLimit {
    let limit =
        SeriesLimit::new(CardinalityLimits { max_series_per_database: series, max_values_per_tag: values });
    shards.iter().for_each(|shard| limit.join(shard));
    limit
}

/// What a write of one new series does.
fn add(limit: &SeriesLimit, shard: &Arc<RwLock<Index>>, key: &str) -> Result<(), String> {
    let mut admission = limit.begin(shard, 1);
    let mut index = shard.write();
    if index.find_series(key).is_none() {
        admission.admit(&index, key).map_err(|refused| refused.to_string())?;
        index.add_series(key);
    }
    Ok(())
}

#[test]
fn a_database_has_so_many_series_over_all_its_shards() {
    let (old, new) = (index(), index());
    let limit = limit(3, 0, &[&old, &new]);
    let full = Err("max-series-per-database limit exceeded: (3)".to_owned());
    for key in ["m,a=1", "m,a=2"] {
        assert_eq!(add(&limit, &old, key), Ok(()));
        assert_eq!(add(&limit, &new, key), Ok(()), "the same series in another shard");
    }
    assert_eq!(add(&limit, &new, "m,a=3"), Ok(()));
    assert_eq!(add(&limit, &new, "m,a=4"), full);
    assert_eq!(add(&limit, &old, "n"), full);
    assert_eq!(add(&limit, &old, "m,a=3"), Ok(()), "known to the other shard");
    assert_eq!(add(&limit, &new, "m,a=1"), Ok(()), "known to the shard itself");
    assert_eq!(limit.estimate(), 3);
    drop(old);
    assert_eq!(add(&limit, &new, "m,a=4"), full, "what one shard holds still counts");
}

#[test]
fn dropped_series_and_shards_make_room() {
    let (old, new) = (index(), index());
    let limit = limit(2, 0, &[&old, &new]);
    assert_eq!(add(&limit, &old, "m,a=1"), Ok(()));
    assert_eq!(add(&limit, &new, "m,a=2"), Ok(()));
    assert!(add(&limit, &new, "m,a=3").is_err());
    drop(old);
    assert_eq!(add(&limit, &new, "m,a=3"), Ok(()));
    assert!(add(&limit, &new, "m,a=4").is_err());
    let retirement = new.read().retirement([0].into_iter().collect());
    new.write().retire(&retirement);
    assert_eq!(add(&limit, &new, "m,a=4"), Ok(()));
    assert!(add(&limit, &new, "m,a=2").is_err(), "it is a new one again");
}

#[test]
fn a_tag_has_so_many_values_in_each_measurement() {
    let (old, new) = (index(), index());
    let limit = limit(0, 2, &[&old, &new]);
    assert_eq!(add(&limit, &old, "m,a=1,b=1"), Ok(()));
    assert_eq!(add(&limit, &new, "m,a=2,b=1"), Ok(()));
    let text = r#"max-values-per-tag limit exceeded (2/2): measurement="m" tag="a" value="x \"y\"""#;
    assert_eq!(add(&limit, &new, r#"m,a=x\ "y",b=1"#), Err(text.to_owned()));
    assert!(add(&limit, &new, "m,a=3,b=2").is_err());
    assert_eq!(add(&limit, &new, "m,a=2,b=2"), Ok(()), "values that are known combine freely");
    assert_eq!(add(&limit, &old, "m,a=2,b=2"), Ok(()));
    assert_eq!(add(&limit, &old, "n,a=3"), Ok(()), "another measurement's values are its own");
    assert_eq!(add(&limit, &new, "m,c=1"), Ok(()));
    assert!(add(&limit, &new, "m,b=3").is_err());
    drop(new);
    assert_eq!(add(&limit, &old, "m,a=3"), Err(text.replace(r#"x \"y\""#, "3")), "both are in the old one");
}

#[test]
fn a_refused_series_takes_no_value_and_no_number() {
    let shard = index();
    let limit = limit(0, 1, &[&shard]);
    assert_eq!(add(&limit, &shard, "m,a=1"), Ok(()));
    assert!(add(&limit, &shard, "m,a=2,b=1").is_err());
    assert_eq!(add(&limit, &shard, "m,a=1,b=2"), Ok(()));
    assert_eq!(shard.read().series_count(), 2);
}

#[test]
fn beyond_what_is_counted_an_estimate_decides() {
    let (old, new) = (index(), index());
    // Both hold the same, so that the sum says nothing.
    for key in 0..EXACT_MAX + 20_000 {
        for shard in [&old, &new] {
            let key = format!("m,host=h{key}");
            shard.write().add_series(&key);
        }
    }
    let roomy = limit(EXACT_MAX + 30_000, 0, &[&old, &new]);
    assert_eq!(add(&roomy, &new, "m,host=x"), Ok(()));
    let narrow = limit(EXACT_MAX + 10_000, 0, &[&old, &new]);
    assert!(add(&narrow, &new, "m,host=y").is_err());
    assert_eq!(add(&narrow, &old, "m,host=x"), Ok(()));
}

#[test]
fn without_limits_nothing_is_refused() {
    let shard = index();
    let limit = limit(0, 0, &[&shard]);
    for key in 0..100 {
        assert_eq!(add(&limit, &shard, &format!("m,a={key}")), Ok(()));
    }
}
