#!/bin/bash
# test_faults.sh BUILD_DIR: can each check fail? For each there is a fault that it is made for (faulty.c): the check must be
# red with it, and green without.
set -u
program=$1/privateim-plugin-test
faulty=$1/tests/conformance/.libs/faulty.so
memory=$1/plugins/storage-memory/.libs/storage-memory.so
sqlite=$1/plugins/storage-sqlite/.libs/storage-sqlite.so
number=0
status=0
covered=()

# fault BASE FAULT CHECK [OPTION...]
fault() {
    local base=$1 name=$2 check=$3 options red green none=none
    shift 3
    if [[ $base == memory ]]; then
        options=("base=$memory" store=%d/x)
    else
        options=("base=$sqlite" path=%d/x.db)
    fi
    [[ $name != append-void-lie ]] || none=append-uncertain # something must be cut
    number=$((number + 1))
    covered+=("$check")
    for _ in 1 2 3 4 5; do # where the check kills at a random moment, the moment may be a harmless one
        red=$("$program" "$faulty" --check "$check" "$@" "${options[@]}" "fault=$name" 2>&1)
        ! grep -q '^not ok' <<< "$red" || break
    done
    green=$("$program" "$faulty" --check "$check" "$@" "${options[@]}" "fault=$none" 2>&1)
    if grep -q '^not ok' <<< "$red" && grep -q '^ok' <<< "$green"; then
        echo "ok $number - $name makes \"$check\" red"
    else
        echo "not ok $number - $name makes \"$check\" red"
        sed 's/^/# with it:    /' <<< "$red"
        sed 's/^/# without it: /' <<< "$green"
        status=1
    fi
}

fault memory kinds-built-in "an old plugin serves a kind it never heard of"
fault memory migrate-loses "schema N to N+1 with data"
fault memory schema-any "refusal of a schema too new"
fault sqlite epoch-stays "epoch rises on restore"
fault memory deadline-ignored "deadline and cancel"
fault memory cancel-ignored "deadline and cancel"
fault memory get-forgets "records basic"
fault memory delete-forgets "records basic"
fault memory apply-one-by-one "apply is all or nothing"
fault memory conds-ignored "apply is all or nothing"
fault memory upsert-new-id "upsert revives and returns the id that exists"
fault memory max-is-set "positions only rise"
fault sqlite group-leaks "groups"
fault memory utf8-three "4-byte UTF-8"
fault memory text-folds "bytewise text"
fault memory wrong-value-ok "a wrong value is refused"
fault memory limits-lie "limits: largest value and key"
fault memory list-more-always "list pages"
fault memory list-after-again "list pages"
fault memory null-unknown "NULL is a value of its own"
fault memory join-forgets "join equals fall-back"
fault memory append-drops "append is dense"
fault memory taken-ok "a taken number is refused, one without predecessor too, and a prefix stays"
fault memory again-twice "the same run tried again after UNCERTAIN is stored once"
fault memory bad-item-spoils "one bad item fails alone"
fault memory batch-limit-lies "limits: largest body and batch"
fault memory trim-frees "trim never frees a number and keeps the newest row"
fault memory trim-too-few "trim never frees a number and keeps the newest row"
fault memory redact-keeps "redact"
fault memory history-limit "history reads by number and keeps its limit"
fault memory history-hole "history reads by number and keeps its limit"
fault memory history-day "history reads by day"
fault memory tails-limit "tails reads in number order and keeps its limit"
fault memory tails-time "tails reads in number order and keeps its limit"
fault memory convs-skips "convs walks all"
fault memory delete-forgets "random histories of records equal the model"
fault memory desc-forgotten "random histories of records equal the model"
fault memory msg-field-lost "random histories of messages equal the model"
fault memory taken-ok "races of 8 connections: append"
fault memory conds-ignored "races of 8 connections: apply"
fault memory append-void-lie "connection cut in COMMIT" --cut true
fault sqlite append-lazy "kill -9 in mid-append"
fault sqlite apply-lost "kill -9 in mid-apply"

while read -r check; do
    number=$((number + 1))
    if printf '%s\n' "${covered[@]}" | grep -qxF -- "$check"; then
        echo "ok $number - a fault for \"$check\""
    else
        echo "not ok $number - a fault for \"$check\""
        status=1
    fi
done < <("$program" --list)
echo "1..$number"
exit $status
