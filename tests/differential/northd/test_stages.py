"""Our stages have the numbers that Debian's northd gives them; those of newer releases are behind them."""

from ovenbird.pipeline.stages import OWN_STAGES, STAGES


def test_numbers(oracle):
    oracle.nbctl("ls-add", "s0", "--", "lr-add", "r0", "--", "lrp-add", "r0", "rp", "00:00:00:00:ff:01", "10.0.0.1/24")
    theirs = {}
    for row in oracle.theirs.select("Logical_Flow", "external_ids", "pipeline", "table_id"):
        name = dict(row["external_ids"][1])["stage-name"]
        theirs[name] = (row["pipeline"], row["table_id"])
    assert theirs == {name: (stage.pipeline, stage.table) for name, stage in STAGES.items() if name not in OWN_STAGES}
