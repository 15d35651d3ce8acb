"""Twelve fields of work for medium and hard workflow tasks, as text that :mod:`acenv.envs.workflow.domains` reads."""

DOMAIN_TEXTS = """\
# travel
search_flights(origin: city, destination: city, day: date) -> trip_id: Looks for a flight between two cities on a day.
    fly from {origin} to {destination} on {day}
search_trains(origin: city, destination: city, day: date) -> trip_id: Looks for a train between two cities on a day.
    take the train from {origin} to {destination} on {day}
reserve_seat(traveller: person, trip_id) -> booking_code: Reserves a seat on a flight or train for one traveller.
    have the seat reserved in the name of {traveller}
find_lodging(trip_id) -> lodging_id: Looks for a place to stay close to where a trip ends.
    find somewhere to stay near the arrival station or airport
quote_insurance(cover: amount, booking_code) -> policy_id: Computes the price of insuring a reserved seat.
    get the reservation insured for {cover}
order_transfer(booking_code, lodging_id) -> transfer_id: Orders a car from where a trip ends to the lodging.
    arrange the car that brings the traveller to the lodging
write_itinerary(lodging_id, transfer_id) -> itinerary_id: Writes a document with lodging and transfer.
    put lodging and transfer into one itinerary
mail_itinerary(recipient: person, itinerary_id): Mails an itinerary to somebody.
    let {recipient} have the itinerary by mail
file_expenses(booking_code, policy_id) -> claim_id: Files the costs of a booking and its insurance.
    hand in the costs of reservation and insurance
check_weather(place: city, day: date) -> forecast: Gives the forecast for a city on a day.
    know the forecast for {place} on {day}
pack_list(forecast, trip_id) -> packing_list: Suggests what to pack for a forecast and a trip.
    get a packing list that suits the forecast and the trip
- The budget was approved last week.
- Window seats are always welcome.
- Nobody needs a visa this time.

# shopping
search_catalogue(article: product) -> article_id: Finds an article of the shop by its name.
    look for the {article} in the catalogue
lookup_customer(customer: person) -> account_id: Finds the account of a customer.
    use the account of {customer}
check_stock(article_id) -> warehouse_id: Says which warehouse has an article.
    see which warehouse holds the article
get_discount(account_id, article_id) -> discount_code: Computes the discount of an account for an article.
    apply whatever discount the account earns on the article
place_order(account_id, discount_code) -> order_id: Orders an article for an account, with a discount.
    place the discounted order for the account
ship_order(target: city, order_id, warehouse_id) -> parcel_id: Sends an order from a warehouse to a city.
    ship the order from the warehouse to {target}
print_label(parcel_id) -> label_id: Prints the address label of a parcel.
    print the parcel's label
charge_card(limit: amount, account_id, order_id) -> receipt_id: Charges the card of an account for an order.
    charge the order to the account, at most {limit}
send_receipt(receipt_id, label_id): Sends the receipt with the label of the parcel.
    send out the receipt together with the label
ask_supplier(supplier: company, article_id) -> supply_id: Asks a supplier to deliver an article.
    have {supplier} deliver more of the article
schedule_unloading(slot: date, supply_id, warehouse_id): Plans the unloading of a delivery at a warehouse.
    plan the unloading of the delivery at the warehouse for {slot}
- The last parcel arrived with a dent.
- Gift wrap is not needed.
- The shop was renamed in spring.

# clinic
find_patient(patient: person) -> record_id: Finds the record of a patient.
    open the record of {patient}
order_blood_test(day: date, record_id) -> sample_id: Orders a blood test for a patient.
    have blood taken on {day}
order_scan(day: date, record_id) -> image_id: Orders a scan for a patient.
    have a scan made on {day}
analyse_sample(sample_id) -> lab_report_id: Analyses a blood sample.
    get the blood sample analysed
read_image(image_id) -> finding_id: Describes what a scan shows.
    get the scan described
write_diagnosis(lab_report_id, finding_id) -> diagnosis_id: Derives a diagnosis from lab report and finding.
    arrive at a diagnosis from the lab report and the finding
prescribe(doctor: person, diagnosis_id, record_id) -> prescription_id: Prescribes a medicine for a diagnosis.
    let {doctor} prescribe what the diagnosis calls for
notify_pharmacy(place: city, prescription_id): Sends a prescription to a pharmacy in a city.
    send the prescription to the pharmacy in {place}
check_insurance(insurer: company, record_id) -> coverage_id: Checks what a patient's insurance pays.
    ask {insurer} what it covers for the patient
bill_patient(coverage_id, prescription_id) -> invoice_id: Bills a prescription, less what the insurance pays.
    bill the prescription minus the coverage
plan_follow_up(visit: date, diagnosis_id) -> visit_id: Plans a follow-up visit for a diagnosis.
    plan a follow-up for the diagnosis on {visit}
- The waiting room is being painted.
- The patient prefers mornings.
- Old paper files need not be kept.

# research
search_papers(topic: topic) -> paper_set: Searches for papers on a topic.
    collect papers on {topic}
search_datasets(topic: topic) -> dataset_id: Searches for data sets on a topic.
    find a data set on {topic}
summarise_papers(paper_set) -> summary_id: Summarises a set of papers.
    sum the papers up
extract_citations(paper_set) -> citation_list: Lists the works that a set of papers cites.
    list what the papers cite
clean_dataset(dataset_id) -> clean_table: Removes broken rows of a data set.
    clean the rows of the data set
fit_model(rounds: number, clean_table) -> model_id: Fits a model to a clean table.
    fit a model to the clean table in {rounds} rounds
plot_model(model_id, clean_table) -> figure_id: Draws the predictions of a model over a table.
    draw the model's predictions over the table
draft_article(author: person, summary_id, figure_id) -> draft_id: Writes an article from a summary and a figure.
    write an article by {author} from the summary and the figure
format_references(draft_id, citation_list) -> manuscript_id: Adds references to a draft.
    add the cited works as references to the draft
translate_draft(target: language, draft_id) -> translated_draft_id: Translates a draft.
    have the draft translated into {target}
submit_manuscript(publisher: company, manuscript_id): Submits a manuscript to a publisher.
    submit the manuscript to {publisher}
- The library closes early on Fridays.
- Colour figures cost nothing extra.
- The group meets every two weeks.

# hiring
post_vacancy(employer: company, place: city) -> vacancy_id: Publishes a vacancy of a company in a city.
    advertise the job at {employer} in {place}
load_application(applicant: person) -> application_id: Loads what an applicant has sent.
    take up the application of {applicant}
rate_application(application_id, vacancy_id) -> rating_id: Rates an application against a vacancy.
    rate how well the application fits the advertised job
check_references(application_id) -> reference_id: Asks the former employers named in an application.
    hear what former employers say
schedule_interview(day: date, rating_id) -> interview_id: Plans an interview for an application that was rated.
    plan the interview for {day}, given the rating
write_assessment(interview_id, reference_id) -> assessment_id: Sums up interview and references.
    sum up the interview and the references
draft_contract(salary: amount, assessment_id, vacancy_id) -> contract_id: Drafts a contract for an assessed applicant.
    draft a contract over {salary} for the job
sign_contract(manager: person, contract_id) -> signed_contract_id: Has a contract signed by a manager.
    have {manager} sign the contract
order_equipment(device: product, contract_id) -> equipment_id: Orders equipment for somebody with a contract.
    order a {device} for the new colleague under the contract
plan_first_day(start: date, signed_contract_id, equipment_id): Plans the first day from signed contract and equipment.
    plan the first day on {start} with contract and equipment at hand
close_vacancy(vacancy_id, signed_contract_id): Takes a vacancy off the web.
    take the advertisement down once there is a signature
- The team has grown fast.
- Parking is free for visitors.
- The office moved in January.

# property
search_flats(place: city, rent: amount) -> flat_id: Finds a flat for rent in a city.
    find a flat in {place} for up to {rent}
register_tenant(tenant: person) -> tenant_id: Registers somebody who wants to rent.
    register {tenant} as the one who wants to rent
check_credit(tenant_id) -> credit_id: Checks the credit of a tenant.
    check the credit of the tenant
inspect_flat(day: date, flat_id) -> inspection_id: Inspects a flat on a day.
    inspect the flat on {day}
estimate_repairs(builder: company, inspection_id) -> estimate_id: Estimates the repairs that an inspection found.
    let {builder} estimate the repairs
negotiate_rent(flat_id, estimate_id) -> offer_id: Negotiates the rent of a flat with an estimate in hand.
    negotiate the rent of the flat with the estimate in hand
draft_lease(offer_id, credit_id) -> lease_id: Drafts a lease from an offer and a credit check.
    draft the lease from the offer and the credit check
sign_lease(agent: person, lease_id, tenant_id) -> signed_lease_id: Has a lease signed by tenant and agent.
    have the tenant and {agent} sign the lease
pay_deposit(deposit: amount, lease_id) -> payment_id: Pays the deposit of a lease.
    pay a deposit of {deposit} for the lease
hand_over_keys(moving_day: date, signed_lease_id, payment_id): Hands over the keys.
    get the keys handed over on {moving_day}, after signature and deposit
book_movers(movers: company, flat_id) -> moving_id: Books movers for a flat.
    book {movers} to move things into the flat
- Pets are allowed.
- The street is quiet at night.
- The former tenants left plants behind.

# media
record_interview(guest: person) -> recording_id: Records an interview with somebody.
    record a talk with {guest}
choose_music(mood: topic) -> track_id: Chooses music that suits a topic.
    pick music that goes with {mood}
transcribe(recording_id) -> transcript_id: Turns a recording into text.
    turn the recording into text
translate_text(target: language, transcript_id) -> subtitle_text: Translates a transcript.
    put the text into {target}
cut_audio(recording_id, transcript_id) -> cut_id: Removes pauses from a recording, guided by its transcript.
    remove the pauses from the recording with the help of the text
mix_audio(cut_id, track_id) -> mix_id: Mixes a cut recording with music.
    mix the cut recording with the music
design_cover(artist: person, transcript_id) -> cover_id: Designs a cover picture from a transcript.
    let {artist} design a cover after reading the text
build_episode(number: number, mix_id, cover_id) -> episode_id: Builds an episode from a mix and a cover.
    build episode number {number} from mix and cover
add_subtitles(episode_id, subtitle_text) -> subtitled_id: Adds subtitles to an episode.
    add the foreign text as subtitles to the episode
publish_episode(day: date, episode_id) -> link_id: Publishes an episode on a day.
    publish the episode on {day}
buy_advert(budget: amount, link_id): Advertises a link with a budget.
    advertise the link for {budget}
- The studio has new microphones.
- Listeners like short intros.
- The jingle stays as it is.

# support
open_ticket(customer: person) -> ticket_id: Opens a ticket for a customer.
    open a ticket for {customer}
identify_device(device: product, ticket_id) -> model_id: Finds the model of a product that a ticket is about.
    find out which model of {device} the ticket is about
check_warranty(bought: date, ticket_id, model_id) -> warranty_id: Checks the warranty of a model for a ticket.
    check the warranty given the purchase on {bought}
fetch_manual(target: language, model_id) -> manual_id: Gets the manual of a model.
    get the {target} manual of the model
diagnose_fault(ticket_id, manual_id) -> fault_id: Derives the fault from ticket and manual.
    work out the fault from the ticket and the manual
order_part(supplier: company, fault_id) -> part_id: Orders the part that a fault needs.
    order the part for the fault from {supplier}
book_technician(technician: person, fault_id) -> appointment_id: Books a technician for a fault.
    send {technician} to deal with the fault
plan_visit(day: date, part_id, appointment_id) -> visit_id: Plans a visit when part and technician are there.
    plan the visit on {day} with part and technician
compute_invoice(visit_id, warranty_id) -> invoice_id: Computes the price of a visit under a warranty.
    compute what the visit costs under the warranty
close_ticket(ticket_id, invoice_id): Closes a ticket with its invoice.
    close the ticket with the invoice attached
send_survey(visit_id) -> survey_id: Asks a customer about a visit.
    ask how the visit went
- The hotline is busy on Mondays.
- The customer has been with us for years.
- Stickers are sent on request.

# finance
load_accounts(firm: company) -> accounts_id: Loads the annual accounts of a company.
    load the accounts of {firm}
fetch_prices(firm: company, since: date) -> price_series: Gets the share prices of a company since a day.
    get the share prices of {firm} since {since}
compute_ratios(accounts_id) -> ratio_table: Computes ratios from accounts.
    compute the ratios of the accounts
measure_risk(window: number, price_series) -> risk_id: Measures the risk in a series of prices.
    measure the risk of the prices over {window} days
value_company(ratio_table, price_series) -> valuation_id: Values a company from ratios and prices.
    value the company from its ratios and prices
open_portfolio(client: person) -> portfolio_id: Opens the portfolio of a client.
    open the portfolio of {client}
propose_trade(portfolio_id, valuation_id, risk_id) -> proposal_id: Proposes a trade, given valuation and risk.
    propose a trade for the portfolio from valuation and risk
check_compliance(officer: person, proposal_id) -> approval_id: Checks a proposal against the rules.
    let {officer} check the proposal against the rules
execute_trade(cap: amount, proposal_id, approval_id) -> trade_id: Executes an approved proposal up to an amount.
    execute the approved proposal up to {cap}
report_taxes(trade_id) -> tax_id: Computes the taxes of a trade.
    work out the taxes of the trade
chart_prices(price_series) -> chart_id: Draws a series of prices.
    draw a chart of the prices
- Markets are closed on the holiday.
- Fees were cut last year.
- The client reads every letter.

# events
find_venue(place: city, guests: number) -> venue_id: Finds a venue in a city for a number of guests.
    find a venue in {place} for {guests} guests
invite_speaker(speaker: person) -> speaker_id: Invites a speaker.
    win {speaker} as the speaker
fix_date(wish: date, venue_id, speaker_id) -> event_id: Fixes the date on which venue and speaker are free.
    fix the date, if possible {wish}, when both venue and speaker are free
order_catering(caterer: company, event_id) -> catering_id: Orders food for an event.
    order food from {caterer} for the event
rent_equipment(gear: product, event_id, venue_id) -> rental_id: Rents equipment for an event at a venue.
    rent a {gear} for the event at the venue
write_programme(theme: topic, event_id, speaker_id) -> programme_id: Writes the programme of an event about a topic.
    write the programme on {theme} with the speaker's part
print_flyers(copies: number, programme_id) -> flyer_id: Prints flyers with a programme.
    print {copies} flyers of the programme
estimate_costs(catering_id, rental_id) -> budget_id: Adds up food and equipment.
    add up the costs of food and equipment
find_sponsor(sponsor: company, budget_id) -> sponsor_id: Asks a company to pay a budget.
    ask {sponsor} to pay the costs
sell_tickets(price: amount, programme_id, budget_id) -> sale_id: Starts the sale of tickets for a programme.
    sell tickets at {price} once programme and costs are known
book_room(speaker_id, venue_id) -> room_id: Books a room for the speaker near the venue.
    book the speaker a room near the venue
- The last event was sold out.
- Name tags are in the cupboard.
- The caretaker has a spare key.

# farming
map_field(place: city) -> field_id: Maps a field near a city.
    map the field near {place}
sample_soil(count: number, field_id) -> soil_id: Takes soil samples of a field.
    take {count} soil samples of the field
fetch_climate(field_id) -> climate_id: Gets the climate records of a field.
    get the climate records of the field
choose_crop(soil_id, climate_id) -> crop_id: Chooses a crop for a soil and a climate.
    choose the crop that suits soil and climate
buy_seed(dealer: company, crop_id) -> seed_id: Buys seed of a crop.
    buy the crop's seed from {dealer}
plan_irrigation(crop_id, field_id) -> irrigation_id: Plans the watering of a crop on a field.
    plan how the crop is watered on the field
hire_worker(worker: person, field_id) -> worker_id: Hires somebody for a field.
    hire {worker} for the field
sow_field(day: date, seed_id, worker_id) -> sowing_id: Sows seed on a day with a worker.
    have the seed sown by the worker on {day}
start_watering(sowing_id, irrigation_id) -> watering_id: Starts the watering after sowing.
    start watering as planned after sowing
insure_harvest(sum: amount, sowing_id) -> policy_id: Insures the harvest of a sown field.
    insure what was sown for {sum}
sell_harvest(buyer: company, watering_id): Sells a harvest in advance.
    sell the watered crop in advance to {buyer}
- The tractor was serviced in winter.
- The neighbours keep sheep.
- Rain is rare in summer.

# teaching
create_course(subject: topic) -> course_id: Creates a course on a topic.
    set up a course on {subject}
assign_teacher(teacher: person, course_id) -> teacher_id: Assigns a teacher to a course.
    let {teacher} teach the course
enrol_class(students: number, course_id) -> class_id: Enrols a number of students in a course.
    enrol {students} students in the course
plan_timetable(start: date, class_id, teacher_id) -> timetable_id: Plans the lessons of a class and a teacher.
    plan the lessons of class and teacher from {start} on
write_exam(course_id, teacher_id) -> exam_id: Writes the exam of a course.
    have the teacher write the course's exam
hold_exam(day: date, exam_id, class_id) -> answer_set: Holds an exam for a class.
    hold the exam for the class on {day}
grade_answers(exam_id, answer_set) -> grade_list: Grades the answers of an exam.
    grade the answers to the exam
publish_grades(grade_list, timetable_id): Publishes grades in the timetable's calendar.
    publish the grades next to the lessons
print_certificates(signatory: person, grade_list) -> certificate_id: Prints certificates for a list of grades.
    print certificates signed by {signatory}
rent_classroom(place: city, timetable_id) -> classroom_id: Rents a classroom for a timetable in a city.
    rent a classroom in {place} for the lessons
order_books(publisher: company, class_id) -> book_order_id: Orders books for a class.
    order the class its books from {publisher}
- The bell rings five minutes early.
- Last year's marks were good.
- Lunch is served at noon.
"""
"""What each field consists of.

An API is a line as tasks list it, ``name(parameter: kind, result of another call) -> result: description``, and under
it what a task says if it wants the call. Lines after ``-`` are sentences that ask for nothing.
"""
