"""How-tos for medium and hard workflow tasks, as text that :mod:`acenv.envs.workflow.howto_plans` reads."""

HOWTO_TEXTS = """\
# ripe rhubarb, sour cherries, green apples, yellow plums, red currants, wild blueberries
wash: Wash the {}.
cut < wash: Cut the washed {} into pieces. = get {} ready for the oven
sift: Sift the flour into a bowl.
soften: Leave the butter on the table until it is soft.
knead < sift soften: Knead the sifted flour and the soft butter into a dough. = make a dough for a pie with {}
line < knead: Line a round tin with the dough.
fill < line cut: Spread the pieces of {} over the lined tin.
heat: Heat the oven.
bake < fill heat: Bake the filled tin in the hot oven. = bake a pie with {}
whip: Whip cream with vanilla.
serve < bake whip: Cut the baked pie and serve it with the whipped cream. = serve a pie of {} with vanilla cream
stew < cut: Stew the pieces of {} with sugar. = make a compote of {}
# oak, walnut, pine, cherry wood, birch, larch
measure: Measure the wall where the shelf will hang.
buy < measure: Buy a board of {} in the measured length.
saw < buy: Saw the bought board of {} into equal pieces. = get boards of {} in the right length
sand < saw: Sand the sawn pieces until they are smooth.
oil < sand: Oil the smooth pieces and let them dry. = get oiled boards of {} for a shelf
find: Find the beams behind the plaster with a magnet.
drill < find measure: Drill holes into the beams that were found, at the measured height.
screw < drill: Screw brackets into the drilled holes. = get brackets onto the wall
mount < oil screw: Lay the oiled boards onto the mounted brackets. = hang up a shelf of {}
check < mount: Check with a level that the hung shelf is straight. = hang up a straight shelf of {}
collect: Collect the sawdust for the garden.
# tomatoes, courgettes, pumpkins, peppers, aubergines, beans
order: Order seeds of {}.
soak < order: Soak the ordered seeds overnight. = soak seeds of {}
mix: Mix compost with sand.
pots < mix: Fill small pots with the mixed soil. = get pots ready for {}
sow < soak pots: Press the soaked seeds into the filled pots. = raise seedlings of {}
dig: Dig over a sunny bed.
rake < dig: Rake the bed that was dug over until it is level. = get a bed ready for {}
stakes: Cut stakes from hazel branches.
plant < sow rake: Plant the grown seedlings of {} into the level bed. = grow {} in a bed
tie < plant stakes: Tie the planted {} to the cut stakes. = grow {} in a bed and on stakes
barrel: Put a barrel under the gutter.
water < plant barrel: Water the planted {} with rain from the barrel. = grow {} with nothing but rain water
# chess, jazz, book, film, garden, robotics
members: Ask the neighbours who would join a {} club.
count < members: Count those who said that they would join. = find out how many people want a {} club
room: Ask the town hall for a list of free rooms.
rent < count room: Rent a listed room that is large enough for the counted members. = find a home for a {} club
rules: Write down the rules of the {} club.
vote < rules members: Let those who would join vote on the written rules. = give a {} club rules that its members want
register < vote: Register the {} club with the rules that passed the vote. = register a {} club
account < register: Open a bank account for the registered club. = get a {} club a bank account
poster: Draw a poster for the {} club.
print < poster rent: Print the drawn poster with the address of the rented room. = advertise a {} club with its address
invite < print register: Invite the whole town to the registered club with the printed posters.
# bicycle, scooter, tandem, cargo bike, racing bike, tricycle
hang: Hang the {} up so that its wheels turn freely.
remove < hang: Take the back wheel off the {} that hangs.
tyre < remove: Pull the tyre off the removed wheel. = take the tyre off a {}
bucket: Fill a bucket with water.
leak < tyre bucket: Press the tube of the pulled tyre into the filled bucket and mark the leak.
patch < leak: Patch the marked leak. = get the tube of a {} patched
refit < patch: Put the patched tube back and pump it up. = fix a flat tyre of a {}
chain < hang: Take the chain off the {} that hangs. = take the chain off a {}
solvent: Pour cleaning oil into a jar.
clean < chain solvent: Clean the chain that was taken off in the jar of cleaning oil. = clean the chain of a {}
ride < refit clean: Put the clean chain back, and ride with the pumped-up wheel. = get a broken {} ready for a ride
bell: Oil the bell.
# Greek, Korean, Swahili, Finnish, Portuguese, Turkish
goal: Write down why you want to learn {}.
test: Take a short test of your {}.
course < goal test: Choose a {} course that suits the written reasons and the test result. = choose the right {} course
book < course: Buy the textbook of the chosen course. = get the right {} textbook
cards < book: Copy the words of the bought textbook onto cards. = make cards with {} words
box: Build a box with five drawers.
sort < cards box: Sort the copied cards into the box with five drawers. = learn {} words with a box of cards
partner: Look for somebody who speaks {}.
meet < partner course: Agree with the speaker that you found on talks about the topics of the chosen course. = talk {}
diary < cards: Keep a diary with the words on the copied cards. = keep a diary in {}
exam < sort meet: Sit an exam after the sorted cards are learnt and the agreed talks are held. = pass an exam in {}
# Lisbon, Bergen, Ghent, Krakow, Porto, Seville
list: List the rooms with all that stands in them.
sell < list: Sell the listed things that are not needed. = own less before a move to {}
boxes: Get boxes from a shop.
pack < sell boxes: Pack what was not sold into the boxes from the shop. = get everything packed for a move to {}
flat: Look at flats in {} and choose one.
lease < flat: Sign the lease of the chosen flat. = rent a flat in {}
power < lease: Order electricity for the leased flat. = rent a flat in {} with electricity
van: Compare the prices of vans.
rent < van: Rent the van with the best price. = get a van for a move to {}
load < pack rent: Load the packed boxes into the rented van. = get a loaded van ready for {}
drive < load lease: Drive the loaded van to the leased flat in {}. = move to {}
post < lease: Tell the post office the address of the leased flat.
# merino wool, mohair, alpaca wool, linen yarn, cotton yarn, silk yarn
head: Measure your head with a tape.
sample: Knit a small sample of {}.
stitches < sample: Count the stitches of the knitted sample. = count the stitches of a sample of {}
compute < head stitches: Work out from the counted stitches how many the measured head takes. = plan a hat of {}
cast < compute: Cast on the number of stitches that was worked out.
knit < cast: Knit rows onto the stitches that were cast on until the hat covers the ears.
close < knit: Close the top of the knitted hat. = knit a hat of {}
card: Cut two rings of cardboard.
wind < card: Wind {} around the cut rings and tie a bobble. = make a bobble of {}
sew < close wind: Sew the tied bobble onto the closed hat. = knit a hat of {} with a bobble
wash < close: Wash the closed hat by hand and lay it flat. = get a washed hat of {}
"""
