//! One generation of a store below memory: a redb file, read as a [`Base`], changed as a
//! [`Draft`].

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use mvcc::base::{Base, Damage, Items, SharedBase, Summary};
use mvcc::draft::Draft;
use mvcc::{Mark, Revision, Span};
use redb::{
    Builder, Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, Table, TableError, WriteTransaction,
};

use crate::backing::{Backing, Gauge};
use crate::file::{File, FileError};
use crate::tables::{
    ABOUT, ABOUT_BALLAST, ABOUT_SUMMARY, Key, MARKS, RESERVE, RESERVE_PAGE_BYTES,
    RESERVE_PAGE_HEAD_BYTES, ROWS, damaged, mark_key, open, open_mark, open_row, row_key, seal,
    seal_mark,
};

/// A generation's file, open.
pub(crate) struct Generation {
    database: Arc<Database>,
    gauge: Arc<Gauge>,
    /// Commits since the last safe one. What those took and freed redb notes with the next safe
    /// one.
    loose_commits: Arc<AtomicUsize>,
    /// So much of the file may be kept in reserve.
    reserve_bytes: u64,
}

impl Generation {
    /// Opens a generation, or begins one in an empty file.
    pub(crate) fn open<F>(
        file: F,
        cache_bytes: usize,
        reserve_bytes: u64,
    ) -> Result<Self, FileError>
    where
        F: File + Send + Sync + 'static,
    {
        let backing = Backing::new(file)?;
        let gauge = backing.gauge.clone();
        let opened = Builder::new().set_cache_size(cache_bytes).create_with_backend(backing);
        // A new file is written at once; where nothing is that fails.
        if gauge.take_full() {
            return Err(FileError::no_space("there is no room for the store's file"));
        }
        let database = opened.map_err(|error| explain(&gauge, &error.to_string()))?;
        let database = Arc::new(database);
        let generation = Self { database, gauge, loose_commits: Arc::default(), reserve_bytes };
        generation
            .find_reserve()
            .map_err(|error| explain(&generation.gauge, &error.to_string()))?;
        Ok(generation)
    }

    fn find_reserve(&self) -> Result<(), redb::Error> {
        match self.database.begin_read()?.open_table(RESERVE) {
            Ok(table) => {
                // It may be of a host that keeps another one.
                let row = table.get(&[0][..])?.map_or(0, |row| row.value().len() as u64);
                let page = row + RESERVE_PAGE_HEAD_BYTES;
                self.gauge.set_reserved(page * table.len()?);
            }
            Err(TableError::TableDoesNotExist(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// The size of its file.
    pub(crate) fn length(&self) -> u64 {
        self.gauge.length()
    }

    /// Whether its reserve is in its file.
    pub(crate) fn has_reserve(&self) -> bool {
        self.gauge.reserved() > 0
    }

    /// Takes the reserve, as a whole or not at all.
    pub(crate) fn take_reserve(&self) -> Result<(), FileError> {
        if self.has_reserve() {
            return Ok(());
        }
        let bytes = self.reserve_bytes;
        let other = |error: redb::Error| explain(&self.gauge, &error.to_string());
        let count = bytes.div_ceil(RESERVE_PAGE_BYTES).clamp(1, u64::from(u8::MAX));
        let zeros = vec![0; (bytes / count).saturating_sub(RESERVE_PAGE_HEAD_BYTES) as usize];
        let change = self.change()?;
        {
            let table = change.transaction.open_table(RESERVE);
            let mut table = table.map_err(|error| other(error.into()))?;
            for number in 0..count as u8 {
                let insert = table.insert(&[number][..], zeros.as_slice());
                drop(insert.map_err(|error| other(error.into()))?);
                change.check_room()?;
            }
        }
        change.commit(None, false)?;
        self.gauge.set_reserved(bytes);
        Ok(())
    }

    /// Gives the reserve up, if it is there. It is free when nobody reads the file as it was
    /// before, and [`Self::settle`] has noticed that.
    pub(crate) fn give_up_reserve(&self) -> Result<bool, FileError> {
        if !self.has_reserve() {
            return Ok(false);
        }
        let change = self.change()?;
        let deleted = change.transaction.delete_table(RESERVE);
        deleted.map_err(|error| explain(&self.gauge, &error.to_string()))?;
        change.commit(None, true)?;
        self.gauge.set_reserved(0);
        Ok(true)
    }

    /// Lets redb find out what nobody reads any more: it does that at the end of a change, so the
    /// one after it has the room.
    pub(crate) fn settle(&self) -> Result<(), FileError> {
        self.change()?.commit(None, true)
    }

    /// What it holds; nothing while it is not complete.
    pub(crate) fn base(&self) -> Result<Option<SharedBase>, FileError> {
        let explain = |error: redb::Error| explain(&self.gauge, &error.to_string());
        let transaction = self.database.begin_read().map_err(|error| explain(error.into()))?;
        let about = match transaction.open_table(ABOUT) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            about => about.map_err(|error| explain(error.into()))?,
        };
        let read = |key: &[u8]| {
            let value = about.get(key).map_err(|error| explain(error.into()))?;
            Ok::<_, FileError>(value.map(|value| value.value().to_vec()))
        };
        let Some(sealed) = read(ABOUT_SUMMARY)? else { return Ok(None) };
        let summary = open(ABOUT_SUMMARY, &sealed).and_then(Summary::decode);
        let view = View {
            summary: summary.map_err(|damage| FileError::other(damage.0))?,
            rows: transaction.open_table(ROWS).map_err(|error| explain(error.into()))?,
            marks: transaction.open_table(MARKS).map_err(|error| explain(error.into()))?,
            gauge: self.gauge.clone(),
            _database: self.database.clone(),
        };
        Ok(Some(Arc::new(view)))
    }

    /// Begins to change it.
    pub(crate) fn change(&self) -> Result<Change, FileError> {
        // There is no other writer: one that waited here on its own thread would wait for ever.
        let transaction = self.database.try_begin_write();
        let transaction = transaction.map_err(|error| explain(&self.gauge, &error.to_string()))?;
        let loose_commits = self.loose_commits.clone();
        Ok(Change { transaction, gauge: self.gauge.clone(), loose_commits, changes: 0 })
    }
}

fn explain(gauge: &Gauge, text: &str) -> FileError {
    match gauge.error() {
        Some(error) => error,
        None => FileError::other(format!("the store's file cannot be used: {text}")),
    }
}

/// Changes of a generation that are not there yet. Dropped, they never are.
pub(crate) struct Change {
    transaction: WriteTransaction,
    gauge: Arc<Gauge>,
    loose_commits: Arc<AtomicUsize>,
    /// Rows and marks that were inserted or removed.
    changes: usize,
}

impl Change {
    /// Changes something. A lack of room is an error here, and of nothing else; what was changed
    /// is then of no use.
    pub(crate) fn draft<T>(
        &mut self,
        work: impl FnOnce(&mut ChangeDraft<'_>) -> Result<T, Damage>,
    ) -> Result<T, FileError> {
        let other = |error: TableError| explain(&self.gauge, &error.to_string());
        let rows = self.transaction.open_table(ROWS).map_err(other)?;
        let marks = self.transaction.open_table(MARKS).map_err(other)?;
        let (changes, gauge) = (&mut self.changes, &*self.gauge);
        let mut draft = ChangeDraft { rows, marks, changes, gauge };
        let done = work(&mut draft);
        drop(draft);
        self.check_room()?;
        done.map_err(|damage| match self.gauge.error() {
            Some(error) => error,
            None => FileError::other(damage.0),
        })
    }

    /// Rows and marks that were inserted or removed so far.
    pub(crate) fn changes(&self) -> usize {
        self.changes
    }

    /// Makes the changes, and this summary. With `safe` they are there after any crash, too, and
    /// the file opens at once then.
    pub(crate) fn commit(mut self, summary: Option<&Summary>, safe: bool) -> Result<(), FileError> {
        let gauge = self.gauge.clone();
        let other = |error: redb::Error| explain(&gauge, &error.to_string());
        // Whoever reads it finds all tables, whatever was changed.
        self.draft(|_| Ok(()))?;
        {
            let about = self.transaction.open_table(ABOUT);
            let mut about = about.map_err(|error| other(error.into()))?;
            if let Some(summary) = summary {
                let sealed = seal(ABOUT_SUMMARY, summary.encode());
                let insert = about.insert(ABOUT_SUMMARY, sealed.as_slice());
                insert.map_err(|error| other(error.into()))?;
            }
            // Once redb commits it is too late to find no room for what it notes of freed and of
            // free pages. What is inserted and removed again leaves room for that.
            let pages = gauge.length() as usize / PAGE_BYTES;
            let ballast = BALLAST_BYTES + pages / 2 + 64 * self.changes;
            let ballast = vec![0; ballast + self.overdue(pages, safe)];
            let insert = about.insert(ABOUT_BALLAST, ballast.as_slice());
            insert.map_err(|error| other(error.into()))?;
            about.remove(ABOUT_BALLAST).map_err(|error| other(error.into()))?;
        }
        self.check_room()?;
        match safe {
            true => self.transaction.set_quick_repair(true),
            false => {
                let set = self.transaction.set_durability(Durability::None);
                set.map_err(|error| other(error.into()))?;
            }
        }
        self.transaction.commit().map_err(|error| other(error.into()))?;
        match safe {
            true => self.loose_commits.store(0, Ordering::Relaxed),
            false => drop(self.loose_commits.fetch_add(1, Ordering::Relaxed)),
        }
        Ok(())
    }

    /// What commits since the last safe one have left to be noted, at the most: a place for each
    /// page, and a little for each commit. One that is not safe leaves room for the next that is,
    /// which may be the one that gives up the reserve.
    fn overdue(&self, pages: usize, safe: bool) -> usize {
        match self.loose_commits.load(Ordering::Relaxed) + usize::from(!safe) {
            0 => 0,
            commits => 8 * pages + PAGE_BYTES * commits.min(OVERDUE_COMMITS),
        }
    }

    fn check_room(&self) -> Result<(), FileError> {
        match self.gauge.take_full() {
            true => Err(FileError::no_space("the store's file cannot grow")),
            false => Ok(()),
        }
    }
}

/// What a commit of almost nothing takes beside its changes.
const BALLAST_BYTES: usize = 64 * 1024;
const PAGE_BYTES: usize = 4096;
/// Commits that are counted, at the most: room for more would be too much to ask for.
const OVERDUE_COMMITS: usize = 1024;

/// A change's tables.
pub(crate) struct ChangeDraft<'a> {
    changes: &'a mut usize,
    gauge: &'a Gauge,
    rows: Table<'a, Key, &'static [u8]>,
    marks: Table<'a, Key, &'static [u8]>,
}

fn broken(error: impl fmt::Display) -> Damage {
    damaged(&error.to_string())
}

impl Draft for ChangeDraft<'_> {
    fn row_from(&self, from: Revision) -> Result<Option<(Revision, Bytes)>, Damage> {
        let mut rows = self.rows.range::<&[u8]>(row_key(from).as_slice()..).map_err(broken)?;
        let Some(item) = rows.next() else { return Ok(None) };
        let (key, row) = item.map_err(broken)?;
        open_row(key.value(), row.value()).map(Some)
    }

    fn mark_before(&self, key: &[u8], before: Revision) -> Result<Option<Mark>, Damage> {
        let (first, end) = (mark_key(key, FIRST), mark_key(key, before));
        let marks = self.marks.range::<&[u8]>(first.as_slice()..end.as_slice());
        last_mark(marks.map_err(broken)?)
    }

    fn insert_row(&mut self, at: Revision, row: &[u8]) -> Result<(), Damage> {
        *self.changes += 1;
        let key = row_key(at);
        let sealed = seal(&key, row.to_vec());
        self.rows.insert(key.as_slice(), sealed.as_slice()).map_err(broken)?;
        self.gauge.check()
    }

    fn insert_mark(&mut self, key: &[u8], mark: Mark) -> Result<(), Damage> {
        *self.changes += 1;
        let key = mark_key(key, mark.at);
        let sealed = seal_mark(&key, mark);
        self.marks.insert(key.as_slice(), sealed.as_slice()).map_err(broken)?;
        self.gauge.check()
    }

    fn remove_row(&mut self, at: Revision) -> Result<Option<usize>, Damage> {
        *self.changes += 1;
        let key = row_key(at);
        let Some(sealed) = self.rows.remove(key.as_slice()).map_err(broken)? else {
            return Ok(None);
        };
        Ok(Some(open(&key, sealed.value())?.len()))
    }

    fn remove_mark(&mut self, key: &[u8], at: Revision) -> Result<(), Damage> {
        *self.changes += 1;
        self.marks.remove(mark_key(key, at).as_slice()).map_err(broken)?;
        Ok(())
    }
}

/// Before all places.
const FIRST: Revision = Revision { main: 0, sub: 0 };

/// Versions of one key that are looked at one by one before the rest of them is skipped by a
/// search: keys have few as a rule.
const STEPS: usize = 8;

/// A generation at one moment. It stays as it is.
struct View {
    summary: Summary,
    rows: ReadOnlyTable<Key, &'static [u8]>,
    marks: ReadOnlyTable<Key, &'static [u8]>,
    gauge: Arc<Gauge>,
    /// Closed when nobody reads it any more. Invariant: dropped after the tables.
    _database: Arc<Database>,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("summary", &self.summary).finish_non_exhaustive()
    }
}

type Marks<'a> = redb::Range<'a, Key, &'static [u8]>;

fn last_mark(mut marks: Marks<'_>) -> Result<Option<Mark>, Damage> {
    let Some(item) = marks.next_back() else { return Ok(None) };
    let (key, sealed) = item.map_err(broken)?;
    Ok(Some(open_mark(key.value(), sealed.value())?.1))
}

impl View {
    /// The last place that it shows. What a move has brought so far of later ones is in the file,
    /// too.
    fn last(&self) -> Revision {
        Revision::last(self.summary.revision)
    }

    fn marks_in(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Marks<'_>, Damage> {
        self.marks.range::<&[u8]>((from, to)).map_err(broken)
    }
}

impl Base for View {
    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn size(&self) -> u64 {
        self.gauge.length().saturating_sub(self.gauge.reserved())
    }

    fn mark(&self, key: &[u8], at: Revision) -> Result<Option<Mark>, Damage> {
        let (first, last) = (mark_key(key, FIRST), mark_key(key, at.min(self.last())));
        last_mark(self.marks_in(Bound::Included(&first), Bound::Included(&last))?)
    }

    fn marks(&self, span: &Span, at: Revision) -> Items<'_, (Bytes, Option<Mark>)> {
        let at = at.min(self.last());
        let (from, to) = span.bounds();
        // A key's own bytes with the first place are below all its versions, and with the last
        // above.
        let end = match to {
            Bound::Included(key) => Bound::Included(mark_key(key, LAST)),
            Bound::Excluded(key) => Bound::Excluded(mark_key(key, FIRST)),
            Bound::Unbounded => Bound::Unbounded,
        };
        let from = match from {
            Bound::Included(key) | Bound::Excluded(key) => mark_key(key, FIRST),
            Bound::Unbounded => Vec::new(),
        };
        let marks = self.marks_in(Bound::Included(&from), end.as_ref().map(Vec::as_slice));
        match marks {
            Ok(marks) => Box::new(Newest { view: self, at, end, marks, ahead: None }.fuse()),
            Err(damage) => Box::new(std::iter::once(Err(damage))),
        }
    }

    fn versions(&self, key: &[u8], from: Revision) -> Items<'_, Mark> {
        if from > self.last() {
            return Box::new(std::iter::empty());
        }
        let (first, last) = (mark_key(key, from), mark_key(key, self.last()));
        let marks = self.marks_in(Bound::Included(&first), Bound::Included(&last));
        each(marks, |item| {
            let (key, sealed) = item.map_err(broken)?;
            Ok(open_mark(key.value(), sealed.value())?.1)
        })
    }

    fn row(&self, at: Revision) -> Result<Option<Bytes>, Damage> {
        if at > self.last() {
            return Ok(None);
        }
        let key = row_key(at);
        let Some(sealed) = self.rows.get(key.as_slice()).map_err(broken)? else { return Ok(None) };
        Ok(Some(open_row(&key, sealed.value())?.1))
    }

    fn rows(&self, from: Revision) -> Items<'_, (Revision, Bytes)> {
        if from > self.last() {
            return Box::new(std::iter::empty());
        }
        let (first, last) = (row_key(from), row_key(self.last()));
        let rows = self.rows.range::<&[u8]>(first.as_slice()..=last.as_slice()).map_err(broken);
        each(rows, |item| {
            let (key, row) = item.map_err(broken)?;
            open_row(key.value(), row.value())
        })
    }
}

/// After all places.
const LAST: Revision = Revision { main: i64::MAX, sub: u32::MAX };

/// The items of an iterator that may not have come about.
fn each<'a, I, T: 'a>(
    items: Result<I, Damage>,
    read: impl FnMut(I::Item) -> Result<T, Damage> + 'a,
) -> Items<'a, T>
where
    I: Iterator + 'a,
{
    match items {
        Ok(items) => Box::new(items.map(read)),
        Err(damage) => Box::new(std::iter::once(Err(damage))),
    }
}

/// Goes through keys, and finds of each the newest version at or before a place.
///
/// ```text
///  a 2  a 5  a 9   b 3  b 4   c 7        at 5: a 5, b 4, c none
///       ▲                ▲
/// ```
struct Newest<'a> {
    view: &'a View,
    at: Revision,
    end: Bound<Vec<u8>>,
    marks: Marks<'a>,
    /// The first version of the next key, if it was read already.
    ahead: Option<(Bytes, Mark)>,
}

impl Newest<'_> {
    fn next_version(&mut self) -> Result<Option<(Bytes, Mark)>, Damage> {
        let Some(item) = self.marks.next() else { return Ok(None) };
        let (key, sealed) = item.map_err(broken)?;
        let (key, mark) = open_mark(key.value(), sealed.value())?;
        Ok(Some((Bytes::copy_from_slice(key), mark)))
    }

    fn next_key(&mut self) -> Result<Option<(Bytes, Option<Mark>)>, Damage> {
        let first = match self.ahead.take() {
            Some(first) => Some(first),
            None => self.next_version()?,
        };
        let Some((key, first)) = first else { return Ok(None) };
        let newest = self.newest_of(&key, first)?;
        Ok(Some((key, newest)))
    }

    /// The newest version of a key whose first version was just read. Goes on to the next key.
    fn newest_of(&mut self, key: &Bytes, first: Mark) -> Result<Option<Mark>, Damage> {
        let (mut newest, mut mark) = (None, first);
        for _ in 0..STEPS {
            if mark.at <= self.at {
                newest = Some(mark);
            }
            match self.next_version()? {
                Some((same, next)) if same == *key => mark = next,
                other => {
                    self.ahead = other;
                    return Ok(newest);
                }
            }
        }
        let behind = mark_key(key, LAST);
        let end = self.end.as_ref().map(Vec::as_slice);
        self.marks = self.view.marks_in(Bound::Excluded(&behind), end)?;
        self.view.mark(key, self.at)
    }
}

impl Iterator for Newest<'_> {
    type Item = Result<(Bytes, Option<Mark>), Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_key().transpose()
    }
}
