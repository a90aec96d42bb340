"""Capitalised words that are not somebody's name. Lower case, possessive ending removed."""

from typing import Final

_QUESTION_WORDS: Final = """
about according active acute additional additionally adjust adjusted advice advise after all also alternative
alternatives among an analysis and annual any approach appropriate approved are as assess assessing assessment at
atypical avoid based before best between both but by can case chronic clinical common compare comparing comparison
complications concern concerned concerns condition consider considering consult contact contraindication
contraindications could course current currently describe determine diagnose diagnosing diagnosis diagnostic did
differences differential discuss do does dosage dose dosing due during early effect effective effectiveness effects
efficacy elderly elevated emergency evaluate evaluating evaluation evidence expected explain find first follow
follow-up following for from further general give given goal guidance guideline guidelines has have he help her high
his history how if impact implications improve in increased indication indications info information initial inpatient
insights interaction interactions intervention interventions is it its key known last late latest likely list long-term
looking low manage management managing me mechanism metastatic methods mild moderate monitor monitoring my name need
needed needs newly next no non normal not novel now of on optimal option options or oral our outcome outcomes
outpatient overview patient patients per please possible post potential pre preferred prescribing prevent preventing
prevention primary prior procedure prognosis progress prophylaxis protocol protocols provide provided pt question
questions rate rates re recent recommend recommendation recommendations recommended refer reference regarding regimen
regimens research results review revised risk risks rule safe safest safety schedule screening search second secondary
seen sequence severe shall she should show side significance signs similar since so specific stage standard standards
start status steps strategies strategy studies study suggest suggested suggestions summary support surgical symptoms
target tell that the their them then therapeutic therapies therapy there these they this those to treat treated
treating treatment treatments trial trials tx type typical under update updated updates upon urgent use using utility
versus vs was we were what when where whether which while who why will with without would years you your
"""

_EVERYDAY_WORDS: Final = """
absolutely actually afternoon again alright although always anyone anything because been believe besides better bye
certainly correct dear definitely does else even ever every everyone everything exactly except favorite fine fortunately
friend good goodbye great hello hey hi honestly however indeed instead just like maybe mom dad mother father meanwhile
mine more morning most much neither never nevertheless nobody none nope nothing okay once one only otherwise ours out
people perhaps probably quite rather really right same sell several sir since so some somebody someone something
sometimes somewhat soon sorry still such sure thank thankfully thanks therefore thing things think thirty though thus
today together tomorrow tonight too totally twenty two three four five six seven eight nine ten unfortunately unless
until us very want way well whatever whenever wherever whoever whose wow yeah yep yes yesterday yet ago away anyway
around ask asked ate bad became become began big bit bring brought came come done down drive eat few flew fly gave get
go goes going gone got had happy hard here herself himself home hot hour house itself keep kid kids kind knew know
little live lived lives long look lot made make many mean meant meet might mind money month months must myself night
old over own own part play please put ran read ready remember said saw say says see seem send sent set show sit small
son daughter song speak spoke stay stop talk tell than themselves thought through time times told took turn under up
use used wait walk went week weeks whole wife husband win wish word work worked write wrote wrong yourself
unlike despite toward towards onto via within beyond during among amid regarding
user agent caller bot letter zip city street address phone email fax account number card visa name names date
"""

_CLINICAL_WORDS: Final = """
abdominal abnormal abscess academy access acetaminophen administration adrenaline adult advanced adverse advil african
agency airway albuterol allergy alliance allopurinol alveolar american americans amiodarone anaphylaxis anemia
anesthesia angina angiography ankle anterior anti antibiotic antibody anxiety aorta aortic apnea apr arab area
arm arrest arrhythmia arterial artery ashkenazi asian aspirin association asthma astrazeneca ataxia ativan atrial
attack aug augmentin autism autoimmune autosomal axis bacillus back bacterial bactrim beers benadryl bile
biliary biontech biopsy bipolar birth black bladder bleed bleeding blood board body bois bone booster botox bowel brain
breast breath british burden calcium campaign canadian cancer carcinoma cardiac cardiology cardiothoracic
cardiovascular care carotid catheter caucasian celiac cell central cerebral cervical chart check chemotherapy chest
child child-pugh chinese chloride christmas class classification clinic clostridium coagulation cochrane colchicine
cold collapse college colon colorectal coma committee community complex concussion conference congenital congestive
congress consensus consultant cord coronary cortex cough coumadin council count covid covid-19 creatinine crestor
crisis criteria critical cystic day dec december deficiency degree dementia depression dermatology detox diabetes
diabetic dialysis diarrhea diarrhoea diastolic diet difficile diffuse digoxin direct disease disorder disseminated
distress doppler drug drugs duo dysfunction ear east easter eastern eating ebola edema eliquis embolism embryo enbrel
end endocrine endocrinology england english enteral enteric entresto epilepsy epinephrine esophageal european eye
factor failure fall familial family farxiga feb february federation female fentanyl fetal fever fibrillation fibrosis
flow fluid folic food foot force formula forte foundation fracture french friday fungal gabapentin gallbladder gastric
gastrointestinal gauge gehrig gene geriatric german gestation global glucose god gout grade grave grip group growth
hand hartmann hay head health hearing heart hemoglobin heparin hepatic herceptin herpes hip hispanic hiv hold home
hormone human humira hydralazine hyper hypertension hypertensive hypotension ibuprofen ileus imaging immune impairment
index indian infarct infarction infection infections inferior inflammatory influenza inhibitor inhibitors initiative
injury insipidus institute insufficiency insulin intensive international internet interstitial intestinal intracranial
invasive iron irritable ischemic janssen january januvia japanese jardiance jewish joint journal jul july keppra
ketamine keytruda kidney knee labor laboratory labour lactate lactic lancet large lasix latina latino left leg leiden
length lesion leukemia levothyroxine limb lipid lipitor lithium liver lobe lovenox lower lumbar lung lupus lymphoma
lyrica magnesium major malaria male malignant mar march massive maternal mean measles medicaid medical medicare
medication medications medicine mediterranean medline medullary mellitus menstrual mental metabolic metformin
methotrexate migraine mini-mental minor mitral model moderna monday morphine motor mounjaro mucosal multiple muscle
muscular myasthenia myeloid myocardial naloxone naproxen national natural nature neck necrotizing nerve network neural
neuro neurology neurontin nodule nonsteroidal north northern nose nov november nurse nursing nutrition obesity
obstetric obstructive occupational oct october ocular oncology open opioid organ organisation organization osteo otitis
ottawa ovarian ovary oxygen ozempic paediatric pain palliative palsy pancreatic panel panic paracetamol parathyroid
parvovirus paxlovid pediatric pelvic penicillin peptic peripheral personality pfizer phase phenytoin physical physician
pituitary placenta placental plan plasma platelet plavix pleural pneumonia polycystic portal positive posterior
posttraumatic potassium power practice practitioner prednisone pregnancy premature pressure problem program propofol
prostate protein prozac psoriatic psychiatric psychiatry public pubmed pulmonary purpura questionnaire radiation
radiology ramadan rash ratio reaction reactive receptor rectal reflex reflux regional regression rehabilitation relapse
renal report resident resistant respiratory restless retinal rheumatic rheumatoid rheumatology right ringer rituxan
root salbutamol saline sarcoma saturday scale scan schizophrenia school sclerosis score seizure sensitive sep sepsis
sept september septic serum sexual shock sickle sign sinus skin sleep small smear society sodium solid south southern
spanish spasm spinal spine spironolactone splenic spontaneous spring squamous stable stelara steroid stomach stool
streptococcus stress stroke subarachnoid subdural substance sudden sugar sunday superior surgeon surgery
surviving syncope syndrome synthroid syphilis systemic systolic task temporal test testing tetanus thalassemia thoracic
threshold throat thrombosis thursday thyroid tissue titer tolerance tonic tooth total toxic toxicity toxin tract
tramadol transfusion transient transplant trauma traumatic tremor tricuspid trigger trulicity tube tuberculosis tuesday
tumor tumour tylenol ulcer ulcerative ultrasound unit unstable upper urea uric urinary urine urology uterine
vaccination vaccine vaginal valium valve valvular varicose vascular vein venous ventilation ventricle ventricular
vertebral viral virus vision visual vitamin volume warfarin warning wednesday wegovy weight west western winter working
world wound xanax xarelto yellow zofran zoloft zoster zosyn
"""

_ABBREVIATIONS: Final = """
abg ac ace acls acs ada adhd af afib aha aids aki ali als ama amd ami ana aops apap apgar arb arbs ards asa asap asd
atls avf bid bls bmi bnp bp bph bpm bun ca cabg cad cbc ccb ccu cdc ceo chf ckd cll cml cmv cn cns co copd cpap cpr crp
csf ct cta cva cvd cxr dbp dka dm dmard dmards dnr doac doacs dvt dx ebv ecg echo ecmo ed eeg ef egfr ekg elisa ems ent
er ercp esc esr esrd etoh fda ffp fhx fu fvc fx gad gbs gcs gerd gfr gi gist gold gp gu ha hbv hcc hcg hct hctz hcv hdl
hf hfpef hfref hpv hr hrt hsv htn hus hx ibd ibs icd icp icu ii iii inr iop ipf itp iud iugr iv ivc ivf jvp kdigo la
lad lbbb ldl lft lfts lmp loc los lv lvef lvh map mds mi mmr mods mri mrsa ms msk mtx nash nhs nice nicu npo npph nsaid
nsaids nsclc nstemi nyha oa ob ocd od op opd osa pacu pad pah pao2 pci pcos pcp pcr pe ped peep pet pfts pga picc picu
pkd pmh pna po poc ppi ppis pr prbc prn psa ptsd ptt pud pvd qid qt qtc ra rbbb rbc rca rds rhd rsv rv rvt rx saah sah
sbp sclc sctid sdh sgot sgpt siadh sids sirs sle sob ssri ssris stat std stemi sti svt sx t1d t1dm t2d t2dm tavr tb tbi
tca tee tens tia tid tka tnf tpn tsh tte ttp uc ui uk uri us usa uss uti va vas vf vi vt vte vzv wbc wpw
"""

_EPONYMS: Final = """
addison alport alzheimer angelman apgar babinski barre barrett beck becker bell brudzinski brugada budd burkitt
calmette chaddock charcot chiari cockcroft cohn colles creutzfeldt crohn cushing danlos down duchenne duke dupuytren
ebstein edwards ehlers eisenmenger ellison epstein epworth fabry fallot fitzpatrick fleischer foley fournier framingham
ganz gaucher gault glasgow gleason graves guerin guillain hashimoto henoch hickman hirschsprung hodgkin horner
huntington hurler imrie jakob kaplan kaposi kawasaki kayser kehr kernig killip klinefelter korsakoff lasegue lewy
ludwig lyme lynch mantoux marfan mcburney mcisaac meier meniere niemann noonan osler paget parkinson peyronie phalen
pompe prader rankin ranson raynaud rendu rett reye rinne romberg rutherford sachs schirmer schonlein sjogren stevens
swan tay tinel tourette trendelenburg trousseau turner weber wells wernicke whipple white willebrand willi wilms wilson
wolff zollinger
"""

_STATE_NAMES: Final = """
Alabama,Alaska,Arizona,Arkansas,California,Colorado,Connecticut,Delaware,Florida,Georgia,Hawaii,Idaho,Illinois,Indiana,
Iowa,Kansas,Kentucky,Louisiana,Maine,Maryland,Massachusetts,Michigan,Minnesota,Mississippi,Missouri,Montana,Nebraska,
Nevada,New Hampshire,New Jersey,New Mexico,New York,North Carolina,North Dakota,Ohio,Oklahoma,Oregon,Pennsylvania,
Rhode Island,South Carolina,South Dakota,Tennessee,Texas,Utah,Vermont,Virginia,Washington,
West Virginia,Wisconsin,Wyoming
"""

_COUNTRIES: Final = """
afghanistan africa algeria america argentina asia australia austria bangladesh belgium brazil britain bulgaria cambodia
cameroon canada chile china colombia congo croatia cuba cyprus denmark ecuador egypt england ethiopia europe finland
france germany ghana greece hungary iceland india indonesia iran iraq ireland israel italy jamaica japan kenya
korea kuwait lebanon libya malawi malaysia mali malta mexico mongolia morocco mozambique myanmar nepal netherlands
nigeria norway pakistan palestine peru philippines poland portugal qatar romania russia rwanda scotland senegal serbia
singapore somalia spain sudan sweden switzerland syria taiwan tanzania thailand tunisia turkey uganda ukraine kingdom
states emirates arabia venezuela vietnam wales yemen zambia zealand zimbabwe united saudi zebrafish
"""

QUESTION_WORDS: Final = frozenset(_QUESTION_WORDS.split())
NOT_NAMES: Final = QUESTION_WORDS | frozenset(f"{_CLINICAL_WORDS}{_COUNTRIES}".split())

EVERYDAY_WORDS: Final = frozenset(_EVERYDAY_WORDS.split())
"""Never somebody's name by themselves, though a hospital or a town may have one in its name."""

ABBREVIATIONS: Final = frozenset(_ABBREVIATIONS.split())
"""Those that are written in capitals; "Ed" and "Ana" are people."""

EPONYMS: Final = frozenset(_EPONYMS.split())
"""Surnames that stand for a disease or a sign when nothing comes before them."""

STATE_NAMES: Final = frozenset(_STATE_NAMES.replace("\n", "").lower().split(","))
"""A state is not an identifier, a town is; behind a town it goes with it."""

_STATE_CODES: Final = (
    "AK AL AR AZ CA CO CT DC DE FL GA HI IA ID IL IN KS KY LA MA MD ME MI MN MO MS MT NC ND NE NH NJ NM NV NY OH "
    "OK OR PA RI SC SD TN TX UT VA VT WA WI WV WY"
)
STATE_CODES: Final = frozenset(_STATE_CODES.split())

_ENDINGS: Final = """
pril sartan olol statin azole mycin cillin floxacin mab tinib gliptin gliflozin glutide xaban gatran parin prazole
setron triptan dipine clovir navir azepam azolam barbital curium thiazide semide lukast terol solone sonide dronate
formin glitazone fibrate oxetine triptyline cycline profen idone oxacin platin rubicin taxel kinase penem
itis osis emia aemia uria penia opathy algia plegia paresis sarcoma noma lemma ectomy ostomy otomy plasty scopy
graphy rrhea rrhoea pnea pnoea trophy sclerosis lysis stenosis ysm
"""
DRUG_AND_DISEASE_ENDINGS: Final = tuple(_ENDINGS.split())
