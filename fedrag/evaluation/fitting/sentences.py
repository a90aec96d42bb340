"""Sentences of our own with places for names, from which the name model is fitted.

`{f}` a first name, `{l}` a family name, `{n}` both, `{r}` family name first, `{i}` first name with an initial, `{a}` an
age, `{d}` a number. Each is used as it stands and in lower case, as speech is often written down.
"""

from typing import Final

SENTENCES: Final = tuple(
    line
    for line in """
Patient: {n}
Patient name: {r}
NAME: {r} AGE: {a} SEX: F
Name of patient {n}, ward {d}
Mr. {l} is a {a}-year-old man with chest pain.
Mrs. {l} returns today for review of her blood pressure.
Ms. {n} was seen in clinic.
{f} is a {a}-year-old boy who presents with fever.
{f} is a {a} year old female here for follow up of diabetes.
{n} is a pleasant {a}-year-old woman with asthma.
{f} states that the pain began last week.
{f} reports no fever, chills or weight loss.
{f} denies chest pain.
{f} has been doing well on metformin.
{f} was last seen in March.
{f} and her husband {f} agree with the plan.
The mother states that {f} is eating better.
The mom says {f} has been coughing at night.
Her daughter {f} helps with medication.
His son, {f}, is at the bedside.
She lives with her partner {f} and two cats.
Accompanied by his wife {f}.
Discussed with {n}, who agrees.
Reviewed by {n}, MD.
Signed: {n}, RN
Dictated by {i}
cc: {n}
Referring physician: {n}
Referred by Dr. {l}.
Dr. {n} will see him in two weeks.
I spoke to doctor {l} about the result.
Nurse {l} changed the dressing.
Primary care provider: {r}
Emergency contact: {n} (sister)
Next of kin: {n}, {d}
ASSESSMENT AND PLAN: {f} is a {a}-year-old with heart failure.
ASSESSMENT
{f} is a {a}-month-old former preterm infant.
PLAN
{f} has a murmur at the left sternal border.
Hi {f}, how are you today?
hi , {f} . how are you ?
hey {f} good to see you today
hello {f} what brings you in
okay {f} so your blood pressure is a little high
so {f} is a {a} year old male who came in with back pain
so , {f} , do you have any allergies ?
all right {f} i will see you in three months
thanks , {f} . nice to meet you too
good morning mr. {l} i'm doctor {l}
[doctor] {n} . date of birth , {d}
[doctor] {f} tell me what happened
[doctor] next is {n} , uh , date of birth is {d}
[patient] my name is {n}
[patient] hey doctor {l} it's my knee again
mrs. {l} , it's good to see you
miss {l} please lie down on the table
today i am seeing {n} . uh
this is {f} {l} calling for the results
what does that mean {f} so that means you need an x-ray
let me just check {f} one more time
um , {f} , can you lift your arm for me ?
Should {n} continue warfarin before surgery?
Can {f} take ibuprofen with lisinopril?
What dose of amoxicillin for {f}, 12 kg?
Is it safe for {n} to fly after a pneumothorax?
My patient {f} has a potassium of 5.9, what next?
For {i}, eGFR 32, which anticoagulant?
Does {f} need a statin at {a}?
Treatment options for {n} with rheumatoid arthritis
Guidelines for managing gout in {n}, seen last week
How should {l} be treated?
{l}, {f}: sodium 128, please advise
Dear {f},
Dear Mr. {l},
Dear Dr {l}, thank you for seeing {n}.
Kind regards, {n}
Yours sincerely
{n}
Best wishes, {f}
Thank you, {f} {l}
Sent by {f}
From: {n}
To: {n}
User: {n}
Agent: May I have your name? Caller: {n}
Who is calling? {f}
My name is {f}.
I'm {f} from the laboratory.
I am {n} and I work on the third floor.
They called the baby {f}.
We named our dog after {l}.
She married {n} in June.
{n} was born in the north and moved south later.
{f} bought a house near the river.
{f} and {f} went to the market on Sunday.
{f}, {f} and {f} played cards all night.
{f} had {d} apples and gave {d} to {f}.
{f}'s mother is a teacher.
That is {f}'s coat.
The house of {n} is for sale.
Ask {f} about it.
Give this to {f} please.
I met {n} at the station.
He told {f} that the train was late.
A book by {n} about the sea.
The {l} novel was long but good.
The latest {l} film is dull.
In the {l} case the court decided otherwise.
According to {l}, the bridge is safe.
As {l} writes, nothing is free.
Directed by: {n}
Written by {n} and {n}
Starring {n}, {n}
Photo: {n}
"It is late," said {f}.
"Come here," {l} said.
{f}: Are you coming?
{f}: Yes, in a minute.
{n}: I do not agree.
>{n}
{n}
{n}
{d} Long Lane
Ship to: {n}
Invoice for {n}
Account holder {n}
Card in the name of {n}
Please change the name on my card to {n}.
Coach {l} and captain {n} were pleased.
President {l} met Minister {l} on Monday.
Professor {l} taught {f} chemistry.
Aunt {f} and uncle {f} came for dinner.
My brother {f} is a plumber.
her friend {f} drove her home
he lives with {f} and the kids
i asked {f} to call you
my sister {f} had breast cancer
my husband {f} gave me his pills
mom's name is {f}
{f} {l} missed the appointment
{l} was discharged home in stable condition.
{l} tolerated the procedure well.
Consent was obtained from {n}.
Blood was drawn from {f} at noon.
Results were called to {n} at the ward.
Seen with {f} and {f} {l} on rounds.
Attending: {n}
Surgeon: {r}
Assistant: {n}
Anesthesiologist: {n}, MD
PATIENT: {r}
DOCTOR: {n}
Interpreter {f} was present.
Social worker {n} will call the family.
Physiotherapist {f} showed the exercises.
Unlike {l}, I think it will rain.
What did {f} say to {f}?
Was it {f} or {f} who fell?
When {n} arrived, everyone stood up.
Before {f} left she locked the door.
{n}, {a}, of the same town, was not hurt.
{n} ({a}) works as a clerk.
{f} ({a}) and {f} ({a}) are siblings.
""".splitlines()
    if line.strip()
)
