"""The logical flows of a Southbound as lines that compare, whoever has compiled them."""

import re
import shlex


def lines(text):
    return [line for line in text.strip().splitlines() if line]


def run(oracle, commands):
    words = [word for line in commands for word in ("--", *shlex.split(line))]
    oracle.nbctl(*words[1:])
    oracle.compile()


def normal(text):
    """Return a match or actions without comments, accidental spaces, and the numbers of address sets."""
    text = re.sub(r"/\*.*?\*/", "", text).replace(" && eth.mcast", "")
    text = re.sub(r"_rtr_lb_\d+", "_rtr_lb_N", text)
    text = re.sub(r"\{([^{},]+)\}", r"\1", text)
    return " ".join(re.sub(r"([=|&<>!]+|[;{}])", r" \1 ", text).split())


def references(value):
    kind, content = value
    return [uuid for _, uuid in content] if kind == "set" else [content]


def names(client):
    found = client.select("Datapath_Binding", "_uuid", "external_ids")
    return {row["_uuid"][1]: dict(row["external_ids"][1])["name"] for row in found}


def groups(client):
    found = client.select("Logical_DP_Group", "_uuid", "datapaths")
    return {row["_uuid"][1]: references(row["datapaths"]) for row in found}


def flows(client):
    """Return (stage and priority, datapath, match, actions, meter) of every logical flow."""
    named, grouped, found = names(client), groups(client), set()
    columns = ("external_ids", "priority", "match", "actions", "logical_dp_group", "logical_datapath")
    for row in client.select("Logical_Flow", *columns, "controller_meter"):
        datapaths = references(row["logical_datapath"])
        datapaths += [uuid for group in references(row["logical_dp_group"]) for uuid in grouped[group]]
        place = f"{dict(row['external_ids'][1])['stage-name']} {row['priority']}"
        texts = normal(row["match"]), normal(row["actions"])
        meter = row["controller_meter"] if isinstance(row["controller_meter"], str) else ""
        found |= {(place, named[uuid], *texts, meter) for uuid in datapaths}
    return found
