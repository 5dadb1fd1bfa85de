"""Where a switch sends what is for a router's MAC: flow by flow as Debian's northd has it."""

from itertools import count, product

from support.northd.oracle import normal

WORDS = (
    ("router",),
    ("00:00:00:00:{n:02x}:01 10.{n}.0.1",),
    ("00:00:00:00:{n:02x}:77",),
    ("router", "00:00:00:00:{n:02x}:77 10.{n}.0.7"),
    ("router", "00:00:00:00:{n:02x}:01"),
    ("router", "unknown"),
    (),
)


def test_flows_for_router_ports_are_the_originals(oracle):
    """Each kind of port, in a physical network and in none, with each form of addresses at its switch."""
    numbers, commands = count(1), []
    for kind, physical, texts in product(("central", "resides", "plain"), (True, False), WORDS):
        commands += place(next(numbers), kind, texts, physical=physical)
    for kind in ("central", "resides"):
        n = next(numbers)
        commands += [
            *place(n, kind, WORDS[3], physical=True),
            f"lsp-set-enabled  to-p{n}  disabled",
        ]
    oracle.nbctl(*[word for command in commands for word in ("--", *command.split("  "))])
    oracle.compile()
    theirs, ours = destinations(oracle.theirs), destinations(oracle.ours)
    assert ours == theirs
    assert len(theirs) > 60


def place(n, kind, texts, *, physical):
    """Make a router between a switch and another one, and a gateway of it at either; words are two spaces apart."""
    commands = [f"lr-add  r{n}", f"ls-add  s{n}", f"lrp-add  r{n}  p{n}  00:00:00:00:{n:02x}:01  10.{n}.0.1/24"]
    if kind == "central":
        commands.append(f"lrp-set-gateway-chassis  p{n}  hv1")
    else:
        commands += [f"ls-add  g{n}", f"lrp-add  r{n}  out{n}  00:00:00:00:{n:02x}:02  172.16.{n}.1/24",
                     *joint(f"g{n}", f"out{n}", ("router",)), *localnet(f"g{n}"),
                     f"lrp-set-gateway-chassis  out{n}  hv1"]  # fmt: skip
    if kind == "resides":
        commands.append(f"set  Logical_Router_Port  p{n}  options:reside-on-redirect-chassis=true")
    if physical:
        commands += localnet(f"s{n}")
    return commands + joint(f"s{n}", f"p{n}", [text.format(n=n) for text in texts])


def localnet(switch):
    return [f"lsp-add  {switch}  ln-{switch}", f"lsp-set-type  ln-{switch}  localnet",
            f"lsp-set-addresses  ln-{switch}  unknown", f"lsp-set-options  ln-{switch}  network_name=phys"]  # fmt: skip


def joint(switch, port, texts):
    name = f"to-{port}"
    return [f"lsp-add  {switch}  {name}", f"lsp-set-type  {name}  router",
            f"lsp-set-options  {name}  router-port={port}", "  ".join(["lsp-set-addresses", name, *texts])]  # fmt: skip


def destinations(client):
    """Return (switch, match, actions) of the flows that send to one port by its MAC."""
    bindings = client.select("Datapath_Binding", "_uuid", "external_ids")
    names = {row["_uuid"][1]: dict(row["external_ids"][1])["name"] for row in bindings}
    flows = client.select("Logical_Flow", "external_ids", "priority", "match", "actions", "logical_datapath")
    return {
        (names[row["logical_datapath"][1]], row["match"], normal(row["actions"]))
        for row in flows
        if dict(row["external_ids"][1])["stage-name"] == "ls_in_l2_lkup" and row["priority"] == 50
    }
