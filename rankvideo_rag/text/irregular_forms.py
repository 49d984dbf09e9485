"""Irregular forms of English verbs and nouns, which no rule about endings finds.

A question with "did" has the verb that the answer has in the past: "Which did they choose?", "They chose the red one."
Forms with another frequent meaning are left out: "left", "lay", "wound", "ground", "bore", "shed".
"""

_VERBS = """
become became
begin began begun
bend bent
bite bit bitten
blow blew blown
break broke broken
bring brought
build built
burn burnt
buy bought
catch caught
choose chose chosen
come came
deal dealt
dig dug
draw drew drawn
dream dreamt
drink drank drunk
drive drove driven
eat ate eaten
fall fell fallen
feed fed
feel felt
fight fought
find found
fly flew flown
forbid forbade forbidden
forget forgot forgotten
forgive forgave forgiven
freeze froze frozen
get got gotten
give gave given
go went gone
grow grew grown
hang hung
hear heard
hide hid hidden
hold held
keep kept
know knew known
lead led
lean leant
learn learnt
lend lent
lose lost
make made
mean meant
meet met
pay paid
ride rode ridden
ring rang rung
rise rose risen
run ran
see saw seen
seek sought
sell sold
send sent
shake shook shaken
shine shone
shoot shot
sing sang sung
sink sank sunk
sit sat
sleep slept
speak spoke spoken
spell spelt
spend spent
spill spilt
stand stood
steal stole stolen
stick stuck
sting stung
strike struck
swear swore sworn
sweep swept
swim swam swum
take took taken
teach taught
tear tore torn
think thought
throw threw thrown
understand understood
wake woke woken
wear wore worn
weep wept
win won
write wrote written
"""
_NOUNS = """
man men
woman women
child children
foot feet
tooth teeth
goose geese
mouse mice
half halves
knife knives
leaf leaves
life lives
loaf loaves
shelf shelves
thief thieves
wife wives
wolf wolves
"""
BASE_FORMS = {form: forms[0] for line in (_VERBS + _NOUNS).splitlines() for forms in [line.split()] for form in forms[1:]}
