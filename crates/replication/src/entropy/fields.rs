//! Fields of which no cell is left, so that comparing cells does not find them: owners that are alike otherwise compare which
//! fields they list, and each takes in what only the other does.

use bytes::Bytes;
use skywatch_rpc::{Failure, FailureKind};
use skywatch_storage::{
    ListedField, Shard, ShardDigest,
    wire::{Reader, put_varint},
};

use super::{
    Entropy,
    answer::BYTES_MAX,
    calls::{DigestAnswer, FIELDS, FieldsAnswer, FieldsQuestion},
    pull::{Pull, PullError, Pulled},
};
use crate::offload::offload;

/// Something may have to give way before the rest can be taken in, or be dropped while it is asked for.
const ATTEMPTS: usize = 3;

/// What tells the fields that a shard lists apart from others.
pub(super) fn fingerprint(shard: &Shard) -> String {
    let digest = shard.fields_digest();
    format!("{}-{:032x}", digest.count, digest.sum)
}

impl Entropy {
    pub(super) fn answer_fields(&self, question: &FieldsQuestion) -> Result<(FieldsAnswer, Bytes), Failure> {
        let all = self.shard_here(question.shard)?.listed_fields();
        let rest = all.get(question.skip..).ok_or_else(|| {
            let text = format!("fields from the {}th on, of {}", question.skip, all.len());
            Failure::new(FailureKind::Invalid, text)
        })?;
        let mut list = Vec::new();
        let mut count = 0;
        for field in rest {
            field.encode(&mut list);
            count += 1;
            if list.len() >= BYTES_MAX {
                break;
            }
        }
        let mut body = Vec::new();
        put_varint(&mut body, count as u64);
        body.extend_from_slice(&list);
        Ok((FieldsAnswer { last: count == rest.len() }, body.into()))
    }
}

impl Pull<'_> {
    /// Takes in fields that only the other owner lists, which has answered that way; its cells are here.
    pub(super) async fn fields(
        &self,
        shard: &Shard,
        mut answer: DigestAnswer,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        // Earlier releases do not say.
        if answer.fields.is_empty() || !pulled.complete || pulled.lacks_mine {
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            if answer.fields == fingerprint(shard) {
                return Ok(());
            }
            let seen = shard.retirements();
            let mine = self.read(shard).await?;
            let body;
            (answer, body) = self.digest(Some(&mine)).await?;
            let is_alike =
                answer.equal || ShardDigest::decode(&mut Reader::new(&body))?.deletes == mine.deletes;
            if !is_alike {
                // One of them is about to drop something: the next comparison will tell.
                return Ok(());
            }
            let theirs = self.fields_there().await?;
            let taken = offload(|| shard.adopt_fields(&theirs, seen))?;
            pulled.taken += taken;
            if taken == 0 && shard.retirements() == seen {
                break;
            }
        }
        pulled.lacks_fields = answer.fields != fingerprint(shard);
        Ok(())
    }

    async fn fields_there(&self) -> Result<Vec<ListedField>, PullError> {
        let mut all = Vec::new();
        loop {
            let question = FieldsQuestion { shard: self.id(), skip: all.len() };
            let (answer, body): (FieldsAnswer, Bytes) = self.ask(FIELDS, &question).await?;
            self.arrived(&body).await;
            let mut reader = Reader::new(&body);
            let count = reader.count(3)?;
            for _ in 0..count {
                all.push(ListedField::decode(&mut reader)?);
            }
            if answer.last || count == 0 {
                return Ok(all);
            }
            self.check()?;
        }
    }
}
