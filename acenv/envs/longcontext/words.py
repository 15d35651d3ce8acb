"""The words of which haystacks and needles are made."""

from __future__ import annotations


def _phrases(text: str) -> tuple[str, ...]:
    """Split at ``|``; line breaks are spaces."""
    return tuple(" ".join(phrase.split()) for phrase in text.split("|"))


WHO = _phrases("""
    the baker|the gardener|a young doctor|the ferryman|my neighbour|the librarian|an old sailor|the shepherd|
    a tired clerk|the watchmaker|the miller|a quiet student|the postman|the weaver|her uncle|a travelling
    singer|the mason|the cook|the teacher|the fisherman|a night guard|the carpenter|the painter|his sister
""")

DID = _phrases("""
    counted|carried|mended|sold|painted|forgot|borrowed|washed|hid|moved|found|weighed|polished|
    dropped|collected|wrapped|sorted|returned|covered|opened|traded|cleaned
""")

WHAT = _phrases("""
    the loaves|a basket of pears|the wooden chairs|two heavy sacks|the garden tools|a pair of boots|the old
    maps|some candles|the blue plates|a broken clock|the fishing nets|three letters|the winter coats|a box of
    nails|the empty bottles|a stack of books|the long ropes|a bag of flour|the copper pans|some dry wood|the
    spare keys|a jar of honey
""")

WHEN = _phrases("""
    before noon|after the rain|in the early morning|on the way home|during the market|late at night|at the end
    of spring|near the river|behind the mill|beside the church|under the bridge|in the small square|without a
    word|for the third time|while it snowed|as the bells rang|on a warm evening|by the open window
""")

KINDS = _phrases("""
    passcode|label|motto|address|title|nickname|signal|password
""")

ADJECTIVES = _phrases("""
    amber|brass|bright|broad|calm|clay|copper|coral|crooked|dusty|faded|fancy|frozen|gentle|gilded|
    glass|golden|grand|gray|hollow|humble|iron|ivory|jade|linen|lucky|marble|mighty|misty|narrow|
    noble|olive|oval|paper|pearl|plain|proud|purple|quick|rapid|rough|royal|rusty|scarlet|sharp|
    shiny|silent|silver|simple|slender|smooth|solid|steady|stone|sturdy|sunny|swift|tidy|velvet|
    violet|wild|wise|woolen|yellow|young
""")

NOUNS = _phrases("""
    anchor|anvil|arrow|badge|banner|barrel|basin|beacon|bell|bench|blanket|bottle|bowl|bracelet|
    bucket|cabin|cannon|canoe|carpet|castle|chapel|chest|circle|compass|cottage|crown|curtain|dagger|
    desk|dome|drawer|drum|engine|fence|ferry|fiddle|flag|flute|forge|fountain|garden|gate|glove|
    hammer|harbor|harp|helmet|hinge|horn|kettle|kite|ladder|lantern|locket|loom|mirror|needle|oar|
    orchard|paddle|pillar|pocket|pulley|quilt|raft|saddle|shield|sledge|spade|statue|stove|tower|
    trumpet|tunnel|vase|wagon|wheel|whistle
""")

ANIMALS = _phrases("""
    badger|bear|beaver|bison|camel|cat|cobra|crane|crow|deer|dingo|dog|dove|duck|eagle|falcon|
    ferret|finch|fox|frog|gecko|goat|goose|gull|hare|hawk|heron|horse|hyena|ibis|jackal|kiwi|koala|
    lark|lemur|lion|lizard|llama|lynx|magpie|mole|moose|mouse|newt|otter|owl|panda|parrot|pigeon|
    pony|puffin|rabbit|raven|robin|salmon|seal|shark|sheep|snail|spider|squid|stork|swan|tiger|toad|
    trout|turtle|viper|walrus|weasel|whale|wolf|wren|zebra
""")

NAMES = _phrases("""
    Ada|Bruno|Carla|Dario|Elif|Femi|Greta|Hana|Ivo|Jonas|Kira|Luis|Mara
""")

SURNAMES = _phrases("""
    Abel|Brand|Costa|Dietz|Egan|Frost|Gray|Holm|Ito|Jung|Kral|Lund
""")
